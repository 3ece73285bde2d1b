//go:build race

package actors

// raced: the race detector watches, and everything takes many times as long.
const raced = true
