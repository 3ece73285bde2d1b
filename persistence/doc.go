// Package persistence keeps what must survive the process: which groups require which channels, the
// open flows, notices and delayed deletions, and which updates have changed a row already.
//
// Store is the contract, with SQLite and PostgreSQL behind it; Open chooses by the scheme of a URL. Reading
// goes through Reader from any goroutine. Changes go through Writer, which gathers what arrives while
// it commits into the next transaction, so that an update is settled by a durable commit and a burst
// of updates costs few of them. The actors call Reader and Writer; cmd opens and closes the store;
// package storetest holds every implementation to the same behaviour.
//
// Times are kept to the millisecond in UTC, and the zero time stays the zero time. An empty list comes
// back as nil.
//
// This package never talks to Telegram, never decides anything about a person, and knows no actor. It
// puts no connection password and no invite link into an error, a log line or a metric.
package persistence
