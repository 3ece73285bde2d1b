package actors

import "slices"

// small is a map of very few entries, which takes a fifth of what a map does. Its zero value is empty.
type small[K comparable, V any] []pair[K, V]

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (s small[K, V]) find(key K) int {
	return slices.IndexFunc(s, func(p pair[K, V]) bool { return p.key == key })
}

func (s small[K, V]) has(key K) bool { return s.find(key) >= 0 }

// get is the value of a key, or the zero value.
func (s small[K, V]) get(key K) (value V) {
	if i := s.find(key); i >= 0 {
		return s[i].value
	}
	return value
}

func (s *small[K, V]) put(key K, value V) {
	if i := s.find(key); i >= 0 {
		(*s)[i].value = value
		return
	}
	*s = append(*s, pair[K, V]{key, value})
}

// take takes an entry out, and reports whether there was one.
func (s *small[K, V]) take(key K) (value V, ok bool) {
	i := s.find(key)
	if i < 0 {
		return value, false
	}
	value = (*s)[i].value
	*s = slices.Delete(*s, i, i+1)
	return value, true
}
