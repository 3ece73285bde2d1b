// Package protos holds the messages that enter a shard from outside and the records that outlive the
// process. gmbot.proto is the source; gmbot.pb.go is generated from it by `make generate`.
//
// Every other package may import it. It must never import one of them, hold logic beyond naming, or
// carry a secret in a message that is logged.
package protos
