"""Django under ASGI, wrapped. It has one configuration a process, hence one project for all."""

# mypy: disable-error-code="import-untyped, untyped-decorator"

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette_hot_reload import HotReloadMiddleware
from starlette_hot_reload._discovery import static_directories, template_directories
from support import PAGE, TAG, body_of, call, http_scope

VIEWS = f"""\
from django.http import HttpResponse, JsonResponse
from django.urls import path


async def home(request):
    return HttpResponse({PAGE!r})


async def data(request):
    return JsonResponse({{"path": request.path}})


urlpatterns = [path("", home), path("data", data)]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("django")
    for name in "shop/static", "shop/templates", "static", "fonts", "templates":
        (root / name).mkdir(parents=True)
    (root / "shop" / "__init__.py").write_text("")
    (root / "shop" / "urls.py").write_text(VIEWS)
    return root


@pytest.fixture(scope="module")
def app(root: Path) -> Any:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    sys.path.insert(0, str(root))
    settings.configure(
        DEBUG=True,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="shop.urls",
        INSTALLED_APPS=["django.contrib.staticfiles", "shop"],
        STATIC_URL="/static/",
        STATICFILES_DIRS=[root / "static", ("fonts", root / "fonts")],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [root / "templates"],
                "APP_DIRS": True,
            }
        ],
    )
    django.setup()
    return get_asgi_application()


def test_pages_have_the_tag_and_data_have_not(app: Any, root: Path, make_receive: Any) -> None:
    wrapped = HotReloadMiddleware(app, [root])

    async def main() -> None:
        assert TAG.search(body_of(await call(wrapped, http_scope(), make_receive())))
        data = await call(wrapped, http_scope("/data"), make_receive())
        assert body_of(data) == b'{"path": "/data"}'

    asyncio.run(main())


def test_what_it_names_is_found(app: Any, root: Path) -> None:
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    for one in app, ASGIStaticFilesHandler(app):
        assert static_directories(one) == [
            (str(root / "static"), "/static"),
            (str(root / "fonts"), "/static/fonts"),
            (str(root / "shop" / "static"), "/static"),
        ]
        assert template_directories(one) == [
            str(root / "templates"),
            str(root / "shop" / "templates"),
        ]
