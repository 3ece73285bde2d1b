package simulator

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Turn sets switches that are written "Name", for one that is on or off, or "Name=value".
func (s *Switches) Turn(written ...string) error {
	for _, one := range written {
		name, value, valued := strings.Cut(one, "=")
		field := reflect.ValueOf(s).Elem().FieldByName(name)
		if !field.IsValid() {
			return fmt.Errorf("there is no switch %q", name)
		}
		if !valued {
			value = "true"
		}
		if err := turn(field, value); err != nil {
			return fmt.Errorf("switch %s: %w", name, err)
		}
	}
	return nil
}

func turn(field reflect.Value, value string) error {
	switch field.Interface().(type) {
	case bool:
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		field.SetBool(on)
	case time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is no time like \"40s\"", value)
		}
		field.SetInt(int64(d))
	default:
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is no number", value)
		}
		field.SetInt(int64(n))
	}
	return nil
}
