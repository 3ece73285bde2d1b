package simulator

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// ReadFaults reads a list of faults, or one alone, in YAML or JSON:
//
//	# one call in fifty of a mute loses its answer
//	- kind: lost
//	  method: restrictChatMember
//	  probability: 0.02
//	# from the tenth minute on, for an hour, one group is flooded
//	- {kind: flood, class: talk, scope: chat, chat: -1000500000004, for: 30s..2h, from: 10m, until: 70m}
//	- {kind: duplicate, update: chat_member, for: 0s..20s}
//	- {kind: restart, from: 5m, every: 1h, for: 3s..30s}
//
// The names are those of Fault's fields in small letters, chat and user for the ids. Times are written as
// ParseSpread reads them. What is wrong is said with its line.
func ReadFaults(r io.Reader) ([]Fault, error) {
	var doc yaml.Node
	switch err := yaml.NewDecoder(r).Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read faults: %w", err) // says the line itself
	}
	list := doc.Content
	if root := doc.Content[0]; root.Kind == yaml.SequenceNode {
		list = root.Content
	}
	faults := make([]Fault, 0, len(list))
	for _, node := range list {
		f, err := readFault(node)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	return faults, nil
}

func readFault(node *yaml.Node) (f Fault, err error) {
	if node.Kind != yaml.MappingNode {
		return f, fmt.Errorf("line %d: a fault is a list of names and values, for example {kind: lost, method: sendMessage}", node.Line)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		read, known := faultFields[key.Value]
		switch {
		case !known:
			return f, fmt.Errorf("line %d: a fault has no %q", key.Line, key.Value)
		case seen[key.Value]:
			return f, fmt.Errorf("line %d: %s stands there twice", key.Line, key.Value)
		case value.Kind != yaml.ScalarNode:
			return f, fmt.Errorf("line %d: %s is one value", value.Line, key.Value)
		}
		seen[key.Value] = true
		if err := read(&f, value.Value); err != nil {
			return f, fmt.Errorf("line %d: %s: %w", value.Line, key.Value, err)
		}
	}
	if err := f.Check(); err != nil {
		return f, fmt.Errorf("line %d: %w", node.Line, err)
	}
	return f, nil
}

// faultFields read a fault's fields by their names in a file.
var faultFields = map[string]func(f *Fault, text string) error{
	"kind":        func(f *Fault, text string) error { f.Kind = FaultKind(text); return nil },
	"method":      func(f *Fault, text string) error { f.Method, _ = methodNamed(text); return nil },
	"class":       func(f *Fault, text string) error { f.Class = text; return nil },
	"update":      func(f *Fault, text string) error { f.Update = text; return nil },
	"scope":       func(f *Fault, text string) error { f.Scope = text; return nil },
	"description": func(f *Fault, text string) error { f.Description = text; return nil },
	"body":        func(f *Fault, text string) error { f.Body = text; return nil },
	"chat":        func(f *Fault, text string) (err error) { f.ChatID, err = readInteger(text); return err },
	"user":        func(f *Fault, text string) (err error) { f.UserID, err = readInteger(text); return err },
	"times":       func(f *Fault, text string) error { n, err := readInteger(text); f.Times = int(n); return err },
	"status":      func(f *Fault, text string) error { n, err := readInteger(text); f.Status = int(n); return err },
	"for":         func(f *Fault, text string) (err error) { f.For, err = ParseSpread(text); return err },
	"then":        func(f *Fault, text string) (err error) { f.Then, err = ParseSpread(text); return err },
	"from":        func(f *Fault, text string) (err error) { f.From, err = readDuration(text); return err },
	"until":       func(f *Fault, text string) (err error) { f.Until, err = readDuration(text); return err },
	"every":       func(f *Fault, text string) (err error) { f.Every, err = readDuration(text); return err },
	"probability": func(f *Fault, text string) (err error) {
		if f.Probability, err = strconv.ParseFloat(text, 64); err != nil || f.Probability == 0 {
			return errors.New("is a number above 0, at most 1")
		}
		return nil
	},
}

func readInteger(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("is a whole number")
	}
	return n, nil
}

func readDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New(`is a time like "90s" or "1h30m"`)
	}
	return d, nil
}
