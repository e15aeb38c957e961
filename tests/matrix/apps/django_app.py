from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from starlette_hot_reload import HotReloadMiddleware

settings.configure(
    DEBUG=True,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="matrix",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            # Without this Django keeps what it has read until it starts again.
            "OPTIONS": {"loaders": [("django.template.loaders.filesystem.Loader", ["templates"])]},
        }
    ],
)


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "page.html")


urlpatterns = [path("", page)]
app = HotReloadMiddleware(get_asgi_application())
