/*
 * When a burst is over: traces of editors and tools replayed against a clock that is only counted.
 * The figures in them are measured ones (docs/watching.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "settle.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define MS          1000

enum { PATHS = 2048, FLUSHES = 64, START = 1000000, LOCK_POLL = 10 * MS };

/* One hint: so many microseconds after the one before, this path goes into that state. */
struct step {
    uint64_t after;
    hr_hint hint;
    unsigned path;
};

#define CREATE HR_HINT_DIRTY
#define WRITE  HR_HINT_DIRTY
#define CLOSE  HR_HINT_DONE
#define COME   HR_HINT_DONE /* renamed to here, or linked */
#define GO     HR_HINT_GONE

/* Plays the watcher: it keeps the paths' states, and flushes when it is time. */
struct player {
    hr_settle settle;
    hr_hint paths[PATHS];
    uint64_t now;
    uint64_t retry;      /* while a lock stands, or 0 */
    uint64_t lock_until; /* of this clock */
    uint64_t flushes[FLUSHES];
    size_t flushed_paths[FLUSHES];
    size_t count;
};

static void player_init(struct player *player)
{
    *player = (struct player){.now = START};
}

static void flush(struct player *player)
{
    size_t paths = 0;
    for (size_t i = 0; i < PATHS; i++) {
        if (player->paths[i]) {
            hr_settle_drop(&player->settle, player->paths[i]);
            player->paths[i] = HR_HINT_NONE;
            paths++;
        }
    }
    hr_settle_flushed(&player->settle, paths > 0, player->now);
    assert_true(player->count < FLUSHES);
    player->flushed_paths[player->count] = paths;
    player->flushes[player->count++] = player->now;
}

static uint64_t due(const struct player *player)
{
    return player->retry ? player->retry : hr_settle_deadline(&player->settle);
}

/* Flushes whatever is over before this moment. */
static void play_until(struct player *player, uint64_t until)
{
    while (due(player) <= until) {
        player->now = due(player);
        player->retry = 0;
        if (player->now < hr_settle_lock_limit(&player->settle) && player->now < player->lock_until)
            player->retry = player->now + LOCK_POLL;
        else
            flush(player);
    }
    player->now = until;
}

static void play_step(struct player *player, struct step step)
{
    /* A hint at the very moment of the deadline comes first. */
    if (step.after)
        play_until(player, player->now + step.after - 1);
    player->now += step.after ? 1 : 0;
    hr_settle_note(&player->settle, player->paths[step.path], step.hint, player->now);
    player->paths[step.path] = step.hint;
}

static void play(struct player *player, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        play_step(player, steps[i]);
}

static void play_to_rest(struct player *player)
{
    uint64_t last = player->now;
    while (due(player) != HR_SETTLE_NEVER)
        play_until(player, due(player));
    player->now = last;
}

/* The trace is flushed once, so many microseconds after its last hint. */
static void assert_one_flush(const struct step *steps, size_t count, uint64_t after)
{
    static struct player player;
    player_init(&player);
    play(&player, steps, count);
    play_to_rest(&player);
    assert_int_equal(player.count, 1);
    assert_int_equal(player.flushes[0] - player.now, after);
}

static void test_one_save_is_told_a_millisecond_later(void **state)
{
    static const struct step in_place[] = {{0, WRITE, 0}, {20, WRITE, 0}, {80, CLOSE, 0}};
    static const struct step vim[] = {
        {0, GO, 0}, {150, CREATE, 0}, {1400, WRITE, 0}, {300, CLOSE, 0}};
    static const struct step emacs[] = {{0, WRITE, 0}, {60, CLOSE, 0}, {47, CLOSE, 0}};
    static const struct step sed_in_place[] = {{0, COME, 0}};
    static const struct step jetbrains[] = {{0, GO, 0}, {1900, COME, 0}};
    assert_one_flush(in_place, COUNT(in_place), 1 * MS);
    assert_one_flush(vim, COUNT(vim), 1 * MS);
    assert_one_flush(emacs, COUNT(emacs), 1 * MS);
    assert_one_flush(sed_in_place, COUNT(sed_in_place), 1 * MS);
    assert_one_flush(jetbrains, COUNT(jetbrains), 1 * MS);
}

static void test_two_files_are_told_together(void **state)
{
    static const struct step rename[] = {{0, GO, 0}, {0, COME, 1}};
    static const struct step save_all[] = {
        {0, WRITE, 0}, {50, CLOSE, 0}, {900, WRITE, 1}, {50, CLOSE, 1}};
    assert_one_flush(rename, COUNT(rename), 50 * MS); /* the one that went may return */
    assert_one_flush(save_all, COUNT(save_all), 15 * MS);
}

static void test_slow_writer_is_waited_for(void **state)
{
    static const struct step truncated[] = {
        {0, WRITE, 0}, {40 * MS, WRITE, 0}, {45 * MS, CLOSE, 0}};
    static const struct step never_closed[] = {{0, WRITE, 0}, {5 * MS, WRITE, 0}};
    assert_one_flush(truncated, COUNT(truncated), 1 * MS);
    assert_one_flush(never_closed, COUNT(never_closed), 50 * MS);
}

static void test_deletion_waits_for_what_comes_back(void **state)
{
    static const struct step alone[] = {{0, GO, 0}, {1 * MS, GO, 1}};
    static const struct step rebuild[] = {
        {0, GO, 0},           {1 * MS, GO, 1},    {200 * MS, CREATE, 0}, {1 * MS, CLOSE, 0},
        {20 * MS, CREATE, 1}, {1 * MS, WRITE, 1}, {1 * MS, CLOSE, 1}};
    assert_one_flush(alone, COUNT(alone), 250 * MS);
    /* The largest gap, 200 ms, asks for the longest quiet. */
    assert_one_flush(rebuild, COUNT(rebuild), 100 * MS);
}

static void test_quiet_grows_with_the_gaps(void **state)
{
    static const struct step even[] = {
        {0, COME, 0}, {500, COME, 1}, {4 * MS, COME, 2}, {4 * MS, COME, 3}};
    static const struct step growing[] = {{0, COME, 0},       {500, COME, 1},
                                          {8 * MS, COME, 2},  {20 * MS, COME, 3},
                                          {48 * MS, COME, 4}, {90 * MS, COME, 5}};
    assert_one_flush(even, COUNT(even), 16 * MS);
    assert_one_flush(growing, COUNT(growing), 100 * MS);
}

/* Four hints a file, as git makes them; every so many files it pauses. */
static void check_out(struct player *player, unsigned files, unsigned every, uint64_t gap)
{
    for (unsigned i = 0; i < files; i++) {
        play_step(player, (struct step){i && i % every == 0 ? gap : 60, GO, i});
        play_step(player, (struct step){10, CREATE, i});
        play_step(player, (struct step){40, WRITE, i});
        play_step(player, (struct step){10, CLOSE, i});
    }
}

static void test_checkout_under_its_lock_is_one_batch(void **state)
{
    static const uint64_t gaps[] = {4 * MS, 20 * MS, 48 * MS, 300 * MS};
    for (size_t i = 0; i < COUNT(gaps); i++) {
        static struct player player;
        player_init(&player);
        player.lock_until = UINT64_MAX;
        check_out(&player, 1000, 250, gaps[i]);
        player.lock_until = player.now + 2 * MS;
        play_to_rest(&player);
        assert_int_equal(player.count, 1);
        assert_int_equal(player.flushed_paths[0], 1000);
        assert_true(player.flushes[0] - player.now <= 100 * MS);
    }
}

static void test_checkout_without_a_lock_is_one_batch_on_an_idle_machine(void **state)
{
    static struct player player;
    player_init(&player);
    check_out(&player, 1000, 100, 4 * MS);
    play_to_rest(&player);
    assert_int_equal(player.count, 1);
    assert_int_equal(player.flushed_paths[0], 1000);
}

static void test_every_path_is_flushed_however_it_is_cut(void **state)
{
    static const uint64_t gaps[] = {20 * MS, 48 * MS, 2000 * MS};
    for (size_t i = 0; i < COUNT(gaps); i++) {
        static struct player player;
        player_init(&player);
        check_out(&player, 1000, 300, gaps[i]);
        play_to_rest(&player);
        size_t paths = 0;
        for (size_t k = 0; k < player.count; k++)
            paths += player.flushed_paths[k];
        assert_int_equal(paths, 1000);
        assert_true(player.count <= 4);
    }
}

/* On a busy machine a checkout takes longer than an idle lock is believed. */
static void test_lock_holds_for_as_long_as_something_happens_under_it(void **state)
{
    static struct player player;
    player_init(&player);
    player.lock_until = UINT64_MAX;
    check_out(&player, 1000, 100, 900 * MS);
    assert_true(player.now - START > 5000 * MS);
    player.lock_until = player.now;
    play_to_rest(&player);
    assert_int_equal(player.count, 1);
    assert_int_equal(player.flushed_paths[0], 1000);
}

static void test_lock_over_a_writer_without_end_holds_half_a_minute(void **state)
{
    static struct player player;
    player_init(&player);
    player.lock_until = UINT64_MAX;
    while (player.count == 0 && player.now - START < 60000 * MS)
        play_step(&player, (struct step){10 * MS, WRITE, 0});
    assert_int_equal(player.count, 1);
    assert_true(player.flushes[0] - START >= 30000 * MS);
    assert_true(player.flushes[0] - START <= 30000 * MS + 2 * LOCK_POLL);
}

static void test_lock_that_is_never_removed_holds_two_seconds(void **state)
{
    static struct player player;
    player_init(&player);
    player.lock_until = UINT64_MAX;
    play_step(&player, (struct step){0, COME, 0});
    play_to_rest(&player);
    assert_int_equal(player.count, 1);
    assert_true(player.flushes[0] - START >= 2000 * MS);
    assert_true(player.flushes[0] - START <= 2000 * MS + LOCK_POLL);
}

static void test_writer_without_end_is_flushed_each_second(void **state)
{
    static struct player player;
    player_init(&player);
    for (int i = 0; i < 350; i++)
        play_step(&player, (struct step){10 * MS, WRITE, 0});
    assert_int_equal(player.count, 3);
    for (size_t i = 0; i < player.count; i++)
        assert_int_equal(player.flushes[i] - START, (i + 1) * 1000 * MS + (i + 1) * 10 * MS);
}

static void test_soon_after_a_flush_it_waits_for_more(void **state)
{
    static struct player player;
    player_init(&player);
    play_step(&player, (struct step){0, COME, 0});
    play_step(&player, (struct step){100 * MS, COME, 1});
    play_step(&player, (struct step){10 * MS, COME, 2});
    play_step(&player, (struct step){400 * MS, COME, 3});
    play_to_rest(&player);
    assert_int_equal(player.count, 3);
    assert_int_equal(player.flushes[0], START + 1 * MS);
    assert_int_equal(player.flushed_paths[1], 2);
    assert_int_equal(player.flushes[2], player.now + 1 * MS);
}

static void test_aftermath_of_a_flush_is_300_milliseconds(void **state)
{
    static const struct {
        uint64_t after, quiet;
    } rows[] = {{0, 15 * MS}, {300 * MS - 1, 15 * MS}, {300 * MS, 1 * MS}, {300 * MS + 1, 1 * MS}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_settle settle = {0};
        hr_settle_stir(&settle, START);
        hr_settle_flushed(&settle, true, START);
        const uint64_t now = START + rows[i].after;
        hr_settle_note(&settle, HR_HINT_NONE, HR_HINT_DONE, now);
        assert_int_equal(hr_settle_deadline(&settle), now + rows[i].quiet);
    }
}

static void test_lock_limit_is_two_seconds_of_quiet_and_thirty_in_all(void **state)
{
    hr_settle settle = {0};
    hr_settle_stir(&settle, START);
    assert_int_equal(hr_settle_lock_limit(&settle), START + 2000 * MS);
    hr_settle_stir(&settle, START + 1000 * MS);
    assert_int_equal(hr_settle_lock_limit(&settle), START + 3000 * MS);
    hr_settle_stir(&settle, START + 29000 * MS);
    assert_int_equal(hr_settle_lock_limit(&settle), START + 30000 * MS);
}

static void test_burst_is_capped_a_second_after_its_first_hint(void **state)
{
    hr_settle settle = {0};
    assert_true(hr_settle_is_capped(&settle, START));
    hr_settle_stir(&settle, START);
    hr_settle_stir(&settle, START + 900 * MS);
    assert_false(hr_settle_is_capped(&settle, START + 900 * MS));
    assert_false(hr_settle_is_capped(&settle, START + 1000 * MS - 1));
    assert_true(hr_settle_is_capped(&settle, START + 1000 * MS));
    assert_true(hr_settle_is_capped(&settle, START + 1000 * MS + 1));
}

static void test_flush_of_nothing_is_no_reason_to_wait(void **state)
{
    hr_settle settle = {0};
    hr_settle_note(&settle, HR_HINT_NONE, HR_HINT_DONE, START);
    hr_settle_drop(&settle, HR_HINT_DONE);
    hr_settle_flushed(&settle, false, START + 1 * MS);
    hr_settle_note(&settle, HR_HINT_NONE, HR_HINT_DONE, START + 5 * MS);
    assert_int_equal(hr_settle_deadline(&settle), START + 6 * MS);
}

static void test_at_rest_there_is_no_deadline(void **state)
{
    hr_settle settle = {0};
    assert_int_equal(hr_settle_deadline(&settle), HR_SETTLE_NEVER);
    hr_settle_stir(&settle, START);
    assert_int_equal(hr_settle_deadline(&settle), START + 15 * MS);
    hr_settle_flushed(&settle, true, START + 15 * MS);
    assert_int_equal(hr_settle_deadline(&settle), HR_SETTLE_NEVER);
}

static void test_path_that_is_dropped_is_not_waited_for(void **state)
{
    hr_settle settle = {0};
    hr_settle_note(&settle, HR_HINT_NONE, HR_HINT_DONE, START);
    hr_settle_note(&settle, HR_HINT_NONE, HR_HINT_DIRTY, START);
    assert_int_equal(hr_settle_deadline(&settle), START + 50 * MS);
    hr_settle_drop(&settle, HR_HINT_DIRTY);
    assert_int_equal(hr_settle_deadline(&settle), START + 15 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_save_is_told_a_millisecond_later),
        cmocka_unit_test(test_two_files_are_told_together),
        cmocka_unit_test(test_slow_writer_is_waited_for),
        cmocka_unit_test(test_deletion_waits_for_what_comes_back),
        cmocka_unit_test(test_quiet_grows_with_the_gaps),
        cmocka_unit_test(test_checkout_under_its_lock_is_one_batch),
        cmocka_unit_test(test_checkout_without_a_lock_is_one_batch_on_an_idle_machine),
        cmocka_unit_test(test_every_path_is_flushed_however_it_is_cut),
        cmocka_unit_test(test_lock_holds_for_as_long_as_something_happens_under_it),
        cmocka_unit_test(test_lock_over_a_writer_without_end_holds_half_a_minute),
        cmocka_unit_test(test_lock_that_is_never_removed_holds_two_seconds),
        cmocka_unit_test(test_writer_without_end_is_flushed_each_second),
        cmocka_unit_test(test_soon_after_a_flush_it_waits_for_more),
        cmocka_unit_test(test_aftermath_of_a_flush_is_300_milliseconds),
        cmocka_unit_test(test_lock_limit_is_two_seconds_of_quiet_and_thirty_in_all),
        cmocka_unit_test(test_burst_is_capped_a_second_after_its_first_hint),
        cmocka_unit_test(test_flush_of_nothing_is_no_reason_to_wait),
        cmocka_unit_test(test_at_rest_there_is_no_deadline),
        cmocka_unit_test(test_path_that_is_dropped_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
