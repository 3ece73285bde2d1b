// Command gmbot is the gate as a program: `gmbot run` is the bot, `gmbot demo` shows it on a Telegram
// of its own, and the other commands serve those who run it.
//
// People and service managers call it. It wires the other packages together and must hold no rule of
// the gate; config.go alone reads the environment.
package main
