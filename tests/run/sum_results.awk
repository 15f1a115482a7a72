# sum_results.awk - adds up NAME.result files ("NAME PASSED FAILED SKIPPED SECONDS"), slowest suites first in the table.
# -v total_only=1 prints "PASSED FAILED SKIPPED" alone.
{
    passed += $2; failed += $3; skipped += $4; seconds += $5
    row[NR] = sprintf("%8.1f s  %5d passed %3d failed %3d skipped  %s", $5, $2, $3, $4, $1)
    order[NR] = $5
}
END {
    if (total_only) { print passed + 0, failed + 0, skipped + 0; exit }
    for (n = 1; n <= NR; n++) {
        best = 0
        for (i = 1; i <= NR; i++) if (i in order && (!best || order[i] > order[best])) best = i
        print row[best]
        delete order[best]
    }
}
