// Package text is the catalogue of everything gmbot says to people: one file a language, plural rules
// included, and the escaping that foreign names need.
//
// Actors call it with a language and a message id. It must never send, store or log anything, and no
// sentence that people see stands anywhere else.
package text
