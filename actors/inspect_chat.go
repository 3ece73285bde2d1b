package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gmbot/gmbot/persistence"
)

// ChatView is what the bot knows of a chat and why, without tokens and links. Exactly one of its parts is
// there, or none where nothing is known.
type ChatView struct {
	ID      int64        `json:"id"`
	Kind    string       `json:"kind"` // group, channel, person or unknown
	At      time.Time    `json:"at"`
	Group   *GroupView   `json:"group,omitempty"`
	Channel *ChannelView `json:"channel,omitempty"`
	Person  *PersonView  `json:"person,omitempty"`
}

// GroupView is a protected group.
type GroupView struct {
	Title    string               `json:"title"`
	OwnerID  int64                `json:"owner_id"`
	Enabled  bool                 `json:"enabled"`
	Version  int64                `json:"version"`
	Settings persistence.Settings `json:"settings"`
	Channels []PlaceView          `json:"channels"`
	Rights   []RightView          `json:"rights"`
	Flows    map[string]int       `json:"flows"` // by state
	Open     []FlowView           `json:"open"`  // those with something to do, the oldest first
	Notices  []NoticeView         `json:"notices"`
	Today    map[string]int64     `json:"today"`
	Audit    []AuditView          `json:"audit"` // the last first
	Memory   *GroupMemory         `json:"memory,omitempty"`
}

// PlaceView is a channel.
type PlaceView struct {
	ID       int64  `json:"id"`
	Title    string `json:"title"`
	Username string `json:"username,omitempty"`
	HasLink  bool   `json:"has_link"` // the link itself is a secret
}

// RightView is one thing that the bot needs in a place.
type RightView struct {
	PlaceID int64      `json:"place_id"`
	Need    string     `json:"need"` // judge, mute, delete, or brake: nobody turned outside in great numbers
	OK      bool       `json:"ok"`
	Since   *time.Time `json:"since,omitempty"` // when it was lost
	Told    bool       `json:"told,omitempty"`  // the owner knows
}

// FlowView is one person's open business.
type FlowView struct {
	GroupID     int64      `json:"group_id"`
	UserID      int64      `json:"user_id"`
	State       string     `json:"state"`
	Cause       string     `json:"cause"`
	Since       time.Time  `json:"since"`
	Attempts    int        `json:"attempts"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	Messages    int        `json:"messages"` // still to delete
}

// NoticeView is a living notice.
type NoticeView struct {
	ThreadID  int64     `json:"thread_id"`
	MessageID int64     `json:"message_id"` // 0: about to be sent
	People    []int64   `json:"people"`
	ExpiresAt time.Time `json:"expires_at"`
}

// AuditView is one line of the audit trail.
type AuditView struct {
	At      time.Time `json:"at"`
	ActorID int64     `json:"actor_id"`
	UserID  int64     `json:"user_id,omitempty"`
	Action  string    `json:"action"`
	Detail  string    `json:"detail,omitempty"`
}

// GroupMemory is what the group's actor holds; there is none while it sleeps.
type GroupMemory struct {
	Loaded        bool    `json:"loaded"`  // its rows were read
	Looking       []int64 `json:"looking"` // people being looked at
	Notices       int     `json:"notices"`
	Commands      int     `json:"commands"`
	Held          int     `json:"held"` // messages that wait for the rows
	Exempt        int     `json:"exempt"`
	Excused       int     `json:"excused"` // administrators met lately
	LinkedChannel int64   `json:"linked_channel,omitempty"`
	Braked        []int64 `json:"braked,omitempty"` // channels whose "outside" is not believed now
}

// ChannelView is a required channel.
type ChannelView struct {
	Place  PlaceView `json:"place"`
	Groups []int64   `json:"groups"` // that require it
	Seen   int64     `json:"seen"`   // people seen in those groups
}

// PersonView is a person.
type PersonView struct {
	Flows []FlowView `json:"flows"`
}

const (
	viewFlows = 50
	viewAudit = 20
)

// inspectChat asks the group's actor, if it is awake, what it holds. System.Chat sends it to the shard; it is
// answered by chatMemory.
type inspectChat struct{ id int64 }

// chatMemory answers inspectChat.
type chatMemory struct{ group *GroupMemory }

func (g *group) memory() *GroupMemory {
	m := &GroupMemory{
		Loaded: g.loaded, Notices: len(g.notices), Commands: len(g.running), Held: len(g.held), Exempt: len(g.exempt), Excused: len(g.excused),
		LinkedChannel: g.linked, Looking: []int64{},
	}
	for user := range g.kids {
		if len(m.Looking) < viewFlows {
			m.Looking = append(m.Looking, user)
		}
	}
	for at := range g.pauses {
		if at.kind == persistence.Braked {
			m.Braked = append(m.Braked, at.chat)
		}
	}
	return m
}

// Chat says what the bot knows of a group, a channel or a person. It returns within ctx's deadline or two
// seconds.
func (s *System) Chat(ctx context.Context, id int64) (ChatView, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	view := ChatView{ID: id, Kind: "unknown", At: s.d.clock().UTC()}
	if id > 0 {
		flows, err := s.store.FlowsOfUser(ctx, id)
		if err != nil {
			return view, fmt.Errorf("look at person: %w", err)
		}
		view.Kind, view.Person = "person", &PersonView{Flows: flowViews(flows[:min(len(flows), viewFlows)])}
		return view, nil
	}
	g, err := s.store.Group(ctx, id)
	switch {
	case err == nil:
		view.Kind = "group"
		view.Group, err = s.groupView(ctx, g)
		return view, err
	case !errors.Is(err, persistence.ErrNotFound):
		return view, fmt.Errorf("look at group: %w", err)
	}
	groups, err := s.store.GroupsRequiring(ctx, id)
	if err != nil || len(groups) == 0 {
		return view, err
	}
	view.Kind, view.Channel = "channel", &ChannelView{Place: PlaceView{ID: id}, Groups: groups[:min(len(groups), 1000)]}
	if g, err := s.store.Group(ctx, groups[0]); err == nil {
		for _, ch := range g.Channels {
			if ch.ID == id {
				view.Channel.Place = placeView(ch)
			}
		}
	}
	view.Channel.Seen, err = s.store.CountSeen(ctx, id)
	return view, err
}

func (s *System) groupView(ctx context.Context, g persistence.Group) (*GroupView, error) {
	v := &GroupView{
		Title: g.Title, OwnerID: g.OwnerID, Enabled: g.Enabled, Version: g.Version, Settings: g.Settings,
		Channels: []PlaceView{}, Flows: map[string]int{}, Notices: []NoticeView{}, Audit: []AuditView{},
	}
	for _, ch := range g.Channels {
		v.Channels = append(v.Channels, placeView(ch))
	}
	pauses, err := s.store.Pauses(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	v.Rights = rightViews(g, pauses)
	flows, err := s.store.CountFlows(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	for state, n := range flows {
		v.Flows[string(state)] = n
	}
	open, err := s.store.OpenFlowsOfGroup(ctx, g.ID, viewFlows)
	if err != nil {
		return nil, err
	}
	v.Open = flowViews(open)
	notices, err := s.store.Notices(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	for _, n := range notices {
		v.Notices = append(v.Notices, NoticeView{ThreadID: n.ThreadID, MessageID: n.MessageID, People: n.People, ExpiresAt: n.ExpiresAt})
	}
	if v.Today, err = s.store.Day(ctx, g.ID, s.d.today()); err != nil {
		return nil, err
	}
	trail, err := s.store.AuditTrail(ctx, g.ID, viewAudit)
	if err != nil {
		return nil, err
	}
	for _, e := range trail {
		v.Audit = append(v.Audit, AuditView{At: e.At, ActorID: e.ActorID, UserID: e.UserID, Action: e.Action, Detail: e.Detail})
	}
	got, err := s.actors.Root.RequestFuture(s.Shard(g.ID), &inspectChat{id: g.ID}, time.Second).Result()
	if m, ok := got.(*chatMemory); ok && err == nil {
		v.Memory = m.group
	}
	return v, nil
}

func placeView(ch persistence.Channel) PlaceView {
	return PlaceView{ID: ch.ID, Title: ch.Title, Username: ch.Username, HasLink: ch.InviteLink != ""}
}

// rightViews lists what the group needs, and which of it is missing.
func rightViews(g persistence.Group, pauses []persistence.Pause) []RightView {
	list := []RightView{
		{PlaceID: g.ID, Need: string(persistence.CannotMute), OK: true}, {PlaceID: g.ID, Need: string(persistence.CannotDelete), OK: true},
	}
	for _, ch := range g.Channels {
		list = append(
			list, RightView{PlaceID: ch.ID, Need: string(persistence.CannotJudge), OK: true},
			RightView{PlaceID: ch.ID, Need: string(persistence.Braked), OK: true},
		)
	}
	for i, r := range list {
		for _, p := range pauses {
			if p.PlaceID == r.PlaceID && string(p.Kind) == r.Need {
				lost := p.Since
				list[i].OK, list[i].Since, list[i].Told = false, &lost, p.Told
			}
		}
	}
	return list
}

func flowViews(flows []persistence.Flow) []FlowView {
	list := make([]FlowView, 0, len(flows))
	for _, f := range flows {
		v := FlowView{
			GroupID: f.GroupID, UserID: f.UserID, State: string(f.State), Cause: string(f.Cause), Since: f.Since, Attempts: f.Attempts,
			Messages: len(f.Messages),
		}
		if !f.NextAttempt.IsZero() {
			at := f.NextAttempt
			v.NextAttempt = &at
		}
		list = append(list, v)
	}
	return list
}
