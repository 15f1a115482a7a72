/* test_team.c - items of a stream shared with assisting threads: each once, same bits, no burning of idle cores. */
#include "team_check.h"

#include <criterion/criterion.h>

Test(team, every_item_runs_once, .timeout = 60) { cr_expect(check_every_item_runs_once() == 0); }
Test(team, products_have_the_same_bits_with_help, .timeout = 60) { cr_expect(check_bits_with_help() == 0); }
Test(team, idle_help_sleeps, .timeout = 60) { cr_expect(check_idle_help_sleeps() == 0); }
