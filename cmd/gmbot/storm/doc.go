// Package storm lets years of trouble befall the whole bot in minutes: the real actors, the real store on a
// SQLite file, the real sender, source and client, on a simulated Telegram in one process and in virtual
// time, without a network between. `make storm` runs it, and so does the check, for a while.
//
// A plan is drawn from a seed: people with habits, moderators, owners who change their minds, trouble of every
// kind, and deaths of the process; some worlds last a day of a town, and some have webhooks, journals, or nobody
// who listens for more than a day (traits_test.go). A death cuts the wire and the store at a chosen call; a new
// life begins on what stood in the store's files at that moment. Meanwhile and at the end the invariants of
// docs/reliability.md are checked. A seed that breaks one is shrunk to the shortest history that still does.
//
// Nobody calls it; all of it is tests. It must never judge by what the bot believes: what is true is what the
// simulator says, and what the bot may know is what went over the wire.
package storm
