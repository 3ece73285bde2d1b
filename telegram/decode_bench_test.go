package telegram

import (
	"errors"
	"net/http"
	"testing"
)

var talk = message(`,"text":"Look at https://example.org/plums, they say mid August.","entities":[{"offset":8,"length":25,"type":"url"}],` +
	`"reply_to_message":{"message_id":40,"from":` + bob + `,"chat":` + group + `,"date":1795000000,"text":"When are the plums ripe?"}`)

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(talk)))
	for b.Loop() {
		if _, err := Decode(talk, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeReference(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(talk)))
	for b.Loop() {
		if _, err := reference(talk, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	err := errors.Join(fromTelegram("deleteMessage", http.StatusBadRequest, "Bad Request: message can't be deleted", 0, 0))
	b.ReportAllocs()
	for b.Loop() {
		_ = Classify(err)
	}
}
