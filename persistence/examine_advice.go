package persistence

import (
	"fmt"
	"time"
)

// What is worth a word. Below these, a database does what it should.
const (
	// slowQuery is the median of a look-up by an index that is out of the ordinary: they take well under 1 ms.
	slowQuery = 20 * time.Millisecond
	// longTransaction keeps the server from giving back dead rows for long.
	longTransaction = 10 * time.Minute
	// longLog is twice what the log is cut to (journal_size_limit).
	longLog = 128 << 20
)

// Advice is something that is wrong, and what to do about it.
type Advice struct {
	About, What, Cure string
}

// Advice says what should be done; nothing where all is well.
func (e *Examination) Advice() (list []Advice) {
	for _, q := range e.Queries {
		list = append(list, e.adviseQuery(q)...)
	}
	for _, t := range e.Tables {
		// Twice what autovacuum waits for by default, or it has simply not come by yet.
		if t.Dead > manyRows && t.Dead > (t.Rows+t.Dead)*2/5 {
			list = append(list, Advice{
				t.Name, fmt.Sprintf("%d dead rows beside %d live ones", t.Dead, t.Rows),
				"VACUUM (ANALYZE) " + t.Name + "; see that autovacuum is on and that no transaction stays open",
			})
		}
		if !t.Analyzed && t.Rows >= manyRows {
			list = append(list, Advice{t.Name, fmt.Sprintf("%d rows, and no statistics of them", t.Rows), "ANALYZE " + t.Name + "; see that autovacuum is on"})
		}
	}
	if l := e.Longest; l != nil && l.Age > longTransaction {
		list = append(list, Advice{
			"transaction", fmt.Sprintf("the one of process %d is open for %s (%s)", l.PID, l.Age.Round(time.Second), l.State),
			fmt.Sprintf("find out whose it is; SELECT pg_terminate_backend(%d) ends it", l.PID),
		})
	}
	if e.Log > longLog {
		list = append(list, Advice{
			"log", fmt.Sprintf("the write-ahead log has %d MiB", e.Log>>20),
			"end the program that reads the file for so long (a copy under way, a shell); the log shrinks by itself then",
		})
	}
	return list
}

func (e *Examination) adviseQuery(q QueryReport) []Advice {
	switch {
	case q.Late:
		return []Advice{{q.Name, fmt.Sprintf("does not end within %s", examineStatement), "see its tables below, and what else the database's machine does"}}
	case q.Use == IndexMissing:
		cure := "make it again as the migrations have it"
		if e.Dialect == schemePostgres {
			cure = "REINDEX INDEX " + q.Index + " if it is there, or " + cure
		}
		return []Advice{{q.Name, "the index " + q.Index + " is missing or invalid", cure}}
	case q.Use == IndexUnused && e.Dialect == schemeSQLite:
		return []Advice{{q.Name, "its plan lacks: " + q.Index, "somebody's ANALYZE misleads SQLite: run ANALYZE again, or DELETE FROM sqlite_stat1"}}
	case q.Use == IndexUnused:
		return []Advice{{
			q.Name, "the index " + q.Index + " is not used, and many rows are read one by one",
			"ANALYZE its table; if that does not help, see enable_indexscan and random_page_cost",
		}}
	case q.P50 > slowQuery && !q.whole:
		return []Advice{{q.Name, fmt.Sprintf("half of its runs take more than %s", slowQuery), "see dead rows, what else the machine does, and whether its memory holds the indexes"}}
	}
	return nil
}
