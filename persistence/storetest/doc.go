// Package storetest holds every persistence.Store to the same behaviour. The tests of each
// implementation call Run on the real database; nothing else uses this package.
package storetest
