package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// ErrJournalFull says that the journal holds as much as it may; nothing was kept.
var ErrJournalFull = errors.New("journal is full")

const (
	// defaultJournalBytes bounds a journal unless set otherwise.
	defaultJournalBytes = 64 << 20
	// maxRecordBytes bounds one record; a larger length is a torn or foreign file.
	maxRecordBytes = 4 << 20
	recordHead     = 9 // length, checksum, kind
)

// Kinds of what stands in a journal's file.
const (
	journalRecord byte = 1
	journalDone   byte = 2 // so many of the oldest are done
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Journal keeps records in a file while the database is away: what Keep returned nil for is on the disk,
// and is there again after a crash, in order, until Done. Its methods are safe for concurrent use, and
// block for the disk.
type Journal struct {
	mu      sync.Mutex
	file    *os.File
	max     int64
	end     int64  // bytes that are whole
	pending []span // oldest first
	metrics *Metrics
}

type span struct {
	at int64
	n  int
}

// OpenJournal opens or makes the file at path, at most max bytes long (0 = 64 MiB), and holds it for this
// process alone. A record torn by a crash was never promised to anybody, and is cut off.
func OpenJournal(path string, maxBytes int64, m *Metrics) (*Journal, error) {
	if maxBytes <= 0 {
		maxBytes = defaultJournalBytes
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal{file: file, max: maxBytes, metrics: m}
	if err := lockFile(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open journal %s, which another program may hold: %w", path, err)
	}
	if err := j.read(); err != nil {
		_ = closeLocked(file)
		return nil, fmt.Errorf("read journal %s: %w", path, err)
	}
	j.reserve()
	j.metrics.kept(len(j.pending), j.end, j.max)
	return j, nil
}

// read finds what is pending and where the whole records end.
func (j *Journal) read() error {
	head := make([]byte, recordHead)
	for {
		if _, err := j.file.ReadAt(head, j.end); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head)
		if n > maxRecordBytes {
			break
		}
		body := make([]byte, n)
		if _, err := j.file.ReadAt(body, j.end+recordHead); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if checksum(head[8], body) != binary.BigEndian.Uint32(head[4:]) {
			break
		}
		switch head[8] {
		case journalRecord:
			j.pending = append(j.pending, span{j.end + recordHead, int(n)})
		case journalDone:
			done, _ := binary.Uvarint(body)
			j.pending = j.pending[min(int(done), len(j.pending)):]
		}
		j.end += recordHead + int64(n)
	}
	return j.file.Truncate(j.end)
}

func checksum(kind byte, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{kind}, castagnoli), castagnoli, body)
}

func frame(b *bytes.Buffer, kind byte, body []byte) {
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body))))
	b.Write(binary.BigEndian.AppendUint32(nil, checksum(kind, body)))
	b.WriteByte(kind)
	b.Write(body)
}

// Keep appends records and returns when they are on the disk: all of them, or none and an error, which
// wraps ErrJournalFull when there is no room.
func (j *Journal) Keep(records ...[]byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b bytes.Buffer
	var spans []span
	for _, r := range records {
		if len(r) > maxRecordBytes {
			return fmt.Errorf("keep a record of %d bytes: %w", len(r), ErrJournalFull)
		}
		spans = append(spans, span{j.end + int64(b.Len()) + recordHead, len(r)})
		frame(&b, journalRecord, r)
	}
	if j.end+int64(b.Len()) > j.max {
		return fmt.Errorf("keep %d records: %w", len(records), ErrJournalFull)
	}
	if err := j.append(b.Bytes()); err != nil {
		return fmt.Errorf("keep %d records: %w", len(records), err)
	}
	j.pending = append(j.pending, spans...)
	j.metrics.kept(len(j.pending), j.end, j.max)
	return nil
}

func (j *Journal) append(b []byte) error {
	_, err := j.file.WriteAt(b, j.end)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// What was written in part must not be found by a later start.
		return errors.Join(err, j.file.Truncate(j.end))
	}
	j.end += int64(len(b))
	return nil
}

// Next returns at most n of the oldest records; they stay until Done.
func (j *Journal) Next(n int) ([][]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list [][]byte
	for _, s := range j.pending[:min(n, len(j.pending))] {
		b := make([]byte, s.n)
		if _, err := j.file.ReadAt(b, s.at); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		list = append(list, b)
	}
	return list, nil
}

// Done forgets the n oldest records. After an error they come again at the next start.
func (j *Journal) Done(n int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	n = min(n, len(j.pending))
	j.pending = j.pending[n:]
	defer func() { j.metrics.kept(len(j.pending), j.end, j.max) }()
	if len(j.pending) > 0 {
		var b bytes.Buffer
		frame(&b, journalDone, binary.AppendUvarint(nil, uint64(n)))
		return j.append(b.Bytes())
	}
	j.pending, j.end = nil, 0
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("empty the journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("empty the journal: %w", err)
	}
	j.reserve()
	return nil
}

// Len is how many records wait.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pending)
}

// Close lets go of the file.
func (j *Journal) Close() error { return closeLocked(j.file) }
