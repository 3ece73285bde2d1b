package actors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	// fileVersion is written into exported files; a newer one is not understood.
	fileVersion = 1
	// maxFile bounds a file that is imported, bytes.
	maxFile = 64 << 10
	// fileName is what an exported file is called.
	fileName = "gmbot-settings.json"
)

// settingsFile is a group's settings as a file. It holds no invite link: those are made anew.
type settingsFile struct {
	Version  int                  `json:"gmbot_settings"`
	Title    string               `json:"title"`
	Channels []fileChannel        `json:"channels"`
	Settings persistence.Settings `json:"settings"`
}

type fileChannel struct {
	ID       int64  `json:"id"`
	Username string `json:"username,omitempty"`
	Title    string `json:"title,omitempty"`
}

// export is /export.
func (r *commandRun) export() {
	g, ok := r.protected()
	if !ok {
		return
	}
	f := settingsFile{Version: fileVersion, Title: g.Title, Settings: g.Settings}
	for _, ch := range g.Channels {
		f.Channels = append(f.Channels, fileChannel{ID: ch.ID, Username: ch.Username, Title: ch.Title})
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	r.endsSoon()
	// The file stays: it is what was asked for. The command goes.
	r.d.root.Send(r.self, &answerOut{stays: true, job: &protos.Job{
		Lane: protos.Lane_TALK, ChatId: r.place, Do: &protos.Job_SendDocument{SendDocument: &protos.SendDocument{
			ThreadId: r.e.GetThreadId(), Name: fileName, Data: append(data, '\n'), Caption: r.d.words.Say(r.lang, "export.done", nil),
		}},
	}})
}

// importFile is /import: as the caption of a file, or in answer to one. All of it is checked before
// anything is changed.
func (r *commandRun) importFile() {
	doc := r.e.GetDocument()
	if doc == nil {
		doc = r.e.GetReplyDocument()
	}
	if doc == nil {
		r.reply("import.usage", nil)
		return
	}
	got := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_GetFile{
		GetFile: &protos.GetFile{FileId: doc.GetFileId(), MaxBytes: maxFile},
	}})
	if got.GetOutcome() != protos.Outcome_DONE {
		r.reply("import.unreadable", nil)
		return
	}
	f, fault := readSettings(got.GetFile())
	if fault != nil {
		what := r.d.words.Say(r.lang, fault.id, map[string]any{"Field": fault.field})
		r.reply("import.broken", map[string]any{"Line": fault.line, "What": text.HTML(what)})
		return
	}
	r.take(f)
}

// take checks an imported file's channels as /protect does, then stores all of it.
func (r *commandRun) take(f settingsFile) {
	missing := r.checkGroup()
	var refs []channelRef
	for _, one := range f.Channels {
		refs = append(refs, channelRef{id: one.ID, said: orElse(one.Title, itoa(one.ID))})
	}
	channels, problems := r.checkChannels(refs)
	missing = append(missing, problems...)
	if len(missing) > 0 {
		r.send(r.d.words.List(r.lang, "protect.missing", missing), nil)
		return
	}
	g, err := r.d.store.Group(r.ctx, r.group)
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		r.reply("error.busy", nil)
		return
	}
	g.ID, g.Title, g.Enabled, g.Settings, g.Channels = r.group, r.e.GetChat().GetTitle(), true, f.Settings, channels
	r.storeGroup(g, channels, "import", "import.done")
}

// fileFault is what is wrong with a file, for the catalogue.
type fileFault struct {
	line  int    // from 1
	id    string // of the words
	field string
}

// readSettings reads an exported file strictly: what it does not know it does not guess.
func readSettings(raw []byte) (f settingsFile, fault *fileFault) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return f, decodeFault(raw, err, dec.InputOffset())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return f, &fileFault{line: lineAt(raw, dec.InputOffset()), id: "import.fault.more"}
	}
	if field, id := f.fault(); field != "" {
		return f, &fileFault{line: lineOf(raw, field), id: id, field: field}
	}
	return f, nil
}

// decodeFault says where and what a fault is that the decoder found.
func decodeFault(raw []byte, err error, offset int64) *fileFault {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &fileFault{line: lineAt(raw, syntax.Offset), id: "import.fault.syntax"}
	case errors.As(err, &typed):
		return &fileFault{line: lineAt(raw, typed.Offset), id: "import.fault.kind", field: typed.Field}
	}
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		field = strings.Trim(field, `"`)
		return &fileFault{line: lineOf(raw, field), id: "import.fault.unknown", field: field}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		offset = int64(len(raw))
	}
	return &fileFault{line: lineAt(raw, offset), id: "import.fault.syntax"}
}

func lineAt(raw []byte, offset int64) int {
	return 1 + bytes.Count(raw[:min(max(offset, 0), int64(len(raw)))], []byte("\n"))
}

// lineOf is the line on which a field stands, or 1.
func lineOf(raw []byte, field string) int {
	i := bytes.Index(raw, []byte(`"`+field+`"`))
	if field == "" || i < 0 {
		return 1
	}
	return 1 + bytes.Count(raw[:i], []byte("\n"))
}

// fault names the field that cannot be taken, and the words for it; empty if all can.
func (f settingsFile) fault() (field, id string) {
	switch {
	case f.Version > fileVersion:
		return "gmbot_settings", "import.fault.newer"
	case f.Version != fileVersion:
		return "gmbot_settings", "import.fault.foreign"
	}
	return f.impossible(), "import.fault.value"
}

// impossible names a field whose value is not possible.
func (f settingsFile) impossible() string {
	s := f.Settings
	switch {
	case len(f.Channels) == 0 || len(f.Channels) > maxChannels, slices.ContainsFunc(f.Channels, func(c fileChannel) bool { return c.ID >= 0 }):
		return "channels"
	case s.NoticeSeconds < 0 || s.NoticeSeconds > 7*86400:
		return "notice_seconds"
	case s.Need < 0 || s.Need > maxChannels:
		return "need"
	case !slices.Contains([]persistence.Action{persistence.ActionMute, persistence.ActionDelete, persistence.ActionWarn}, s.Action):
		return "action"
	case s.Warnings < 0 || s.Warnings > 100:
		return "warnings"
	case s.GraceMinutes < 0 || s.GraceMinutes > 1440:
		return "grace_minutes"
	case s.RemoveHours < 0 || s.RemoveHours > 10_000:
		return "remove_hours"
	case s.DeclineHours < 0 || s.DeclineHours > 10_000:
		return "decline_hours"
	case !slices.Contains([]persistence.ChannelPosts{persistence.PostsDelete, persistence.PostsAllow, persistence.PostsBan}, s.ChannelPosts):
		return "channel_posts"
	case len(s.Language) > 35:
		return "language"
	}
	return ""
}
