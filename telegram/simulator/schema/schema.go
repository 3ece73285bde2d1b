// Package schema checks Bot API traffic against the machine-readable description of the Bot API.
//
// Tests hand its Validate to the simulator, so that every request, response and update they cause is
// checked. It must import nothing of this module, and is silent where the description is not present.
package schema

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fileVariable names the description's file for Find.
const fileVariable = "BOTAPI_JSON"

// API is a description of the Bot API.
type API struct {
	Methods map[string]method `json:"methods"`
	Types   map[string]kind   `json:"types"`
}

type method struct {
	Fields  []field  `json:"fields"`
	Returns []string `json:"returns"`
}

type kind struct {
	Fields   []field  `json:"fields"`
	Subtypes []string `json:"subtypes"`
}

type field struct {
	Name     string   `json:"name"`
	Types    []string `json:"types"`
	Required bool     `json:"required"`
	// Description is searched for the value that tells subtypes apart.
	Description string `json:"description"`
}

// Find looks for the description: the file that BOTAPI_JSON names, or shared/botapi/api.json beside a
// folder above this one.
func Find() (path string, ok bool) {
	if path := os.Getenv(fileVariable); path != "" {
		return path, true
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		path := filepath.Join(dir, "shared", "botapi", "api.json")
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// Load reads a description.
func Load(path string) (*API, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the Bot API's description: %w", err)
	}
	var a API
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("read the Bot API's description: %w", err)
	}
	a.add()
	return &a, nil
}

// Validate checks a "request" or "response" of a method, or an "update" by its kind.
func (a *API) Validate(what, name string, raw []byte) error {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("%s %s is no JSON: %w", what, name, err)
	}
	var err error
	switch m, known := a.Methods[name]; {
	case what == "update":
		err = a.value("Update", v)
	case !known:
		err = fmt.Errorf("no such method")
	case what == "request":
		err = a.object(m.Fields, v, true)
	default:
		err = a.oneOf(m.Returns, v, false)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, name, err)
	}
	return nil
}

// object checks the fields of an object. Requests carry JSON inside strings where they are forms.
func (a *API) object(fields []field, v any, request bool) error {
	o, ok := v.(map[string]any)
	if !ok {
		if v == nil && request {
			o = map[string]any{}
		} else {
			return fmt.Errorf("is no object")
		}
	}
	for name, value := range o {
		i := slices.IndexFunc(fields, func(f field) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("unknown field %s", name)
		}
		if err := a.oneOf(fields[i].Types, value, request); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, f := range fields {
		if _, ok := o[f.Name]; f.Required && !ok {
			return fmt.Errorf("missing field %s", f.Name)
		}
	}
	return nil
}

// oneOf checks that a value is of one of some types.
func (a *API) oneOf(types []string, v any, request bool) error {
	var first error
	for _, t := range types {
		err := a.typed(t, v, request)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (a *API) typed(t string, v any, request bool) error {
	if s, ok := v.(string); ok && request && t != "String" {
		// A form writes everything as text, and objects as JSON.
		var inner any
		if json.Unmarshal([]byte(s), &inner) == nil {
			return a.typed(t, inner, false)
		}
	}
	if of, ok := strings.CutPrefix(t, "Array of "); ok {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("is no array")
		}
		for i, one := range list {
			if err := a.typed(of, one, false); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return nil
	}
	var ok bool
	switch t {
	case "InputFile":
		// What is uploaded stands in a part of its own. Source: Bot API, Sending files.
		var s string
		s, ok = v.(string)
		ok = ok && strings.HasPrefix(s, "attach://")
	case "Integer":
		var n float64
		n, ok = v.(float64)
		ok = ok && n == float64(int64(n))
	case "Float", "Float number":
		_, ok = v.(float64)
	case "String":
		_, ok = v.(string)
	case "Boolean", "True":
		_, ok = v.(bool)
	default:
		return a.value(t, v)
	}
	if !ok {
		return fmt.Errorf("is no %s", t)
	}
	return nil
}

// value checks a named type; one with subtypes must fit one of them.
func (a *API) value(name string, v any) error {
	k, ok := a.Types[name]
	if !ok {
		return fmt.Errorf("no such type %s", name)
	}
	if len(k.Subtypes) == 0 {
		if err := a.object(k.Fields, v, false); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	var problems []string
	for _, sub := range k.Subtypes {
		err := a.value(sub, v)
		if err == nil && a.means(sub, v) {
			return nil
		}
		if err != nil && a.means(sub, v) {
			return err
		}
		problems = append(problems, sub)
	}
	return fmt.Errorf("%s: fits none of %s", name, strings.Join(problems, ", "))
}

// always finds the value that a field of a subtype always has, in the words of its description.
var always = regexp.MustCompile(`(?:always|must be) ["“]([a-z_]+)["”]`)

// means reports whether a value says it is of a subtype, as far as it can say.
func (a *API) means(sub string, v any) bool {
	o, ok := v.(map[string]any)
	if !ok {
		return true
	}
	for _, f := range a.Types[sub].Fields {
		if m := always.FindStringSubmatch(f.Description); len(m) == 2 && o[f.Name] != m[1] {
			return false
		}
	}
	return true
}
