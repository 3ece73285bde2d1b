package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gmbot/gmbot/persistence"
)

// examine looks at what the database does, and finds something only where there is something to be done.
func (d *doctor) examine(ctx context.Context) {
	e, err := persistence.Examine(ctx, d.set.DatabaseURL)
	if err != nil {
		if wrong, ok := errors.AsType[settingErrors](databaseFault(err)); ok {
			d.ill("database", wrong[0].name+" "+wrong[0].what, wrong[0].cure)
		}
		return
	}
	advice := e.Advice()
	for _, a := range advice {
		d.ill(a.About, a.What, a.Cure)
	}
	if len(advice) == 0 {
		d.well("advice", "none: there is nothing to be done")
	}
	printQueries(&d.table, &e)
	printTables(&d.table, &e)
}

// planWidth is where a line of a plan is broken.
const planWidth = 100

func printQueries(out io.Writer, e *persistence.Examination) {
	_, _ = fmt.Fprintf(out, "\n%-17s %4s %9s %9s %9s %6s  %s\n", "query", "runs", "p50 ms", "p95 ms", "p99 ms", "pages", "intended index")
	for _, q := range e.Queries {
		runs, times, pages := "–", [3]string{"–", "–", "–"}, "–"
		if q.Runs > 0 {
			runs = fmt.Sprint(q.Runs)
			times = [3]string{thousandths(q.P50), thousandths(q.P95), thousandths(q.P99)}
		}
		if q.Pages >= 0 {
			pages = fmt.Sprint(q.Pages)
		}
		use := string(q.Use)
		if q.Late {
			use = "took too long"
		}
		_, _ = fmt.Fprintf(out, "%-17s %4s %9s %9s %9s %6s  %s\n", q.Name, runs, times[0], times[1], times[2], pages, use)
		line := "   "
		for _, step := range q.Plan {
			if len(line)+len(step) > planWidth && strings.TrimSpace(line) != "" {
				_, _ = fmt.Fprintln(out, line)
				line = "   "
			}
			line += " " + step + ";"
		}
		if len(q.Plan) > 0 {
			_, _ = fmt.Fprintln(out, strings.TrimSuffix(line, ";"))
		}
	}
}

func thousandths(d time.Duration) string {
	return fmt.Sprintf("%.3f", float64(d)/float64(time.Millisecond))
}

func printTables(out io.Writer, e *persistence.Examination) {
	dead := e.Dialect == "postgres"
	_, _ = fmt.Fprintf(out, "\n%-20s %12s %12s %12s %12s\n", "table", "rows", "dead rows", "KiB", "indexes KiB")
	for _, t := range e.Tables {
		gone := "–"
		if dead {
			gone = fmt.Sprint(t.Dead)
		}
		_, _ = fmt.Fprintf(out, "%-20s %12s %12s %12s %12s\n", t.Name, known(t.Rows, 1), gone, known(t.Bytes, 1024), known(t.IndexBytes, 1024))
	}
	_, _ = fmt.Fprintf(out, "\nthe whole database: %d KiB", e.Bytes/1024)
	if !dead {
		_, _ = fmt.Fprintf(out, ", of which %d KiB are free for new rows; its write-ahead log: %d KiB\n", e.Free/1024, e.Log/1024)
		return
	}
	longest := "none is open now"
	if e.Longest != nil {
		longest = fmt.Sprintf("%s, of process %d, %s", e.Longest.Age.Round(time.Millisecond), e.Longest.PID, e.Longest.State)
	}
	_, _ = fmt.Fprintf(out, "; the longest transaction of others: %s\n", longest)
}

// known prints a size that may be unknown.
func known(n, unit int64) string {
	if n < 0 {
		return "–"
	}
	return fmt.Sprint((n + unit - 1) / unit)
}
