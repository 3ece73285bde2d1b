package telegram

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

func (s *Source) away() bool { return s.o.Keeper != nil && s.o.Away != nil && s.o.Away() }

// hasKept: there are updates in the journal, and the store is there for them.
func (s *Source) hasKept() bool { return s.o.Keeper != nil && s.o.Keeper.Len() > 0 && !s.away() }

// patience shortens a poll while updates are kept, so that they are taken up soon after the store is back.
func (s *Source) patience(seconds int) int {
	switch {
	case s.o.Keeper == nil || s.o.Keeper.Len() == 0:
		return seconds
	case s.away():
		return min(seconds, 1)
	default:
		return 0
	}
}

// keep puts events into the journal, which settles them, and returns those it could not keep: they are
// tried again soon, and nothing new is taken until then.
func (s *Source) keep(items []*item) []*item {
	if len(items) == 0 {
		return nil
	}
	records := make([][]byte, 0, len(items))
	for _, it := range items {
		b, err := proto.Marshal(&protos.KeptUpdate{Raw: it.raw, ReceivedMs: it.e.GetReceivedMs()})
		if err != nil {
			continue // two fields of plain types always encode
		}
		records = append(records, b)
	}
	if err := s.o.Keeper.Keep(records...); err != nil {
		s.o.Log.Error().Str("error", Redact(err.Error())).Int("updates", len(items)).
			Msg("the store is away and updates cannot be kept; nothing new is taken until it can")
		s.setHindered("the database is away, and the journal takes no more")
		s.mu.Lock()
		for _, it := range items {
			it.stuck = true
			it.out, it.failed, it.due = true, "", time.Now().Add(settleWithin)
		}
		s.mu.Unlock()
		return items
	}
	for _, it := range items {
		s.o.Metrics.update(it.e.GetKind().String(), "kept")
		s.close(it)
	}
	s.o.Log.Warn().Int("updates", len(items)).Msg("the store is away, updates are kept in the journal")
	return nil
}

// replay hands out the oldest kept updates once the store is back, at most a batch, and reports false when
// the program ends. They stay in the journal until they are settled.
func (s *Source) replay() bool {
	if !s.hasKept() {
		return true
	}
	records, err := s.o.Keeper.Next(batchSize)
	if err != nil {
		s.o.Log.Error().Str("error", Redact(err.Error())).Msg("the journal cannot be read")
		return true
	}
	var items []*item
	for _, record := range records {
		var kept protos.KeptUpdate
		if err := proto.Unmarshal(record, &kept); err != nil {
			s.o.Log.Error().Msg("a record of the journal is no update and was skipped")
			continue
		}
		e, err := Decode(json.RawMessage(kept.GetRaw()), kept.GetReceivedMs())
		if err != nil {
			continue // it was decoded before it was kept
		}
		items = append(items, &item{e: e, raw: kept.GetRaw(), replayed: true})
	}
	if !s.carry(items) {
		return false
	}
	if err := s.o.Keeper.Done(len(records)); err != nil {
		s.o.Log.Error().Str("error", Redact(err.Error())).Msg("the journal cannot be written")
	}
	s.o.Log.Info().Int("updates", len(records)).Int("left", s.o.Keeper.Len()).Msg("updates from the journal are judged")
	return true
}
