package protos

// The actor library prints undeliverable messages whole, which would put people's words into logs.
// These methods ask it not to; dead letters are counted instead.

// IgnoreDeadLetterLogging keeps an undeliverable event out of the log.
func (*Event) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps an undeliverable job out of the log.
func (*Job) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps an undeliverable answer out of the log.
func (*JobDone) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps an undeliverable question out of the log.
func (*AskMembership) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps an undeliverable answer out of the log.
func (*MembershipAnswer) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps undeliverable news out of the log.
func (*MembershipChanged) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps an undeliverable acknowledgement out of the log.
func (*GroupSettled) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps an undeliverable push out of the log.
func (*MembershipPush) IgnoreDeadLetterLogging() {}
