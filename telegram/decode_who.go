package telegram

import "github.com/gmbot/gmbot/protos"

// user reads User, into spare memory if there is any; null is nobody. Source: Bot API.
func (w *walker) user(spare *protos.User) (*protos.User, error) {
	if w.null() {
		return nil, nil //nolint:nilnil // nobody is no error
	}
	u := spare
	if u == nil {
		u = &protos.User{}
	}
	return u, w.object(func(key []byte) error {
		switch string(key) {
		case "id":
			return w.int64(&u.Id)
		case "is_bot":
			return w.bool(&u.IsBot)
		case "first_name":
			return w.string(&u.FirstName)
		case "last_name":
			return w.string(&u.LastName)
		case "username":
			return w.string(&u.Username)
		case "language_code":
			return w.string(&u.LanguageCode)
		}
		return w.skip()
	})
}

// chat reads Chat, into spare memory if there is any; null is none. Source: Bot API.
func (w *walker) chat(spare *protos.Chat) (*protos.Chat, error) {
	if w.null() {
		return nil, nil //nolint:nilnil // none is no error
	}
	c := spare
	if c == nil {
		c = &protos.Chat{}
	}
	return c, w.object(func(key []byte) error { return w.chatField(c, key) })
}

func (w *walker) chatField(c *protos.Chat, key []byte) error {
	switch string(key) {
	case "id":
		return w.int64(&c.Id)
	case "type":
		return w.string(&c.Type)
	case "title":
		return w.string(&c.Title)
	case "username":
		return w.string(&c.Username)
	case "is_forum":
		return w.bool(&c.IsForum)
	}
	return w.skip()
}

// member reads ChatMember; null is nil. Source: Bot API.
func (w *walker) member() (*protos.Member, error) {
	if w.null() {
		return nil, nil //nolint:nilnil // none is no error
	}
	m := &protos.Member{}
	var permissions, rights uint32
	err := w.object(func(key []byte) (err error) {
		switch string(key) {
		case "user":
			m.User, err = w.user(nil)
		case "status":
			err = w.string(&m.Status)
		case "is_member":
			err = w.bool(&m.IsMember)
		case "until_date":
			err = w.int64(&m.UntilDate)
		case "is_anonymous":
			err = w.bool(&m.IsAnonymous)
		default:
			permission, right := bitOf(&permissionNames, key), bitOf(&rightNames, key)
			if permission|right == 0 {
				return w.skip()
			}
			set := false
			if err := w.bool(&set); err != nil || !set {
				return err
			}
			permissions |= permission
			rights |= right
		}
		return err
	})
	switch m.GetStatus() {
	case StatusRestricted:
		m.Permissions = permissions
	case StatusAdministrator:
		m.Rights = rights
	case StatusCreator:
		m.Rights = 1<<len(rightNames) - 1
	}
	return m, err
}
