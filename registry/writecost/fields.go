package writecost

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// maxSquares is for the fields of each object, and the items of each list, squared and added up: 40,000 of them take half a second.
	maxSquares = 40_000 * 40_000
	// smallObject is the size in protobuf of an object whose fields take no time.
	smallObject = 64 << 10
)

// measure says how many fields an object has.
type measure struct {
	members int // fields of objects and items of lists, at any depth
	squares int // of the members of each object, and of each list that may be a set
	largest int // members in one place
	where   string
}

func (m *measure) add(o measure) {
	m.members += o.members
	m.squares += o.squares
	if o.largest > m.largest {
		m.largest, m.where = o.largest, o.where
	}
}

// count adds an object or a list.
func (m *measure) count(n int, where func() string) {
	m.squares += n * n
	if n > m.largest {
		m.largest, m.where = n, ""
		if n > 1000 {
			m.where = where()
		}
	}
}

// check returns an API status if there are too many members.
func (m *measure) check(w *write) error {
	if m.squares <= maxSquares {
		return nil
	}
	return invalid(w.info, field.ErrorList{field.Invalid(field.NewPath(m.where), field.OmitValueType{}, fmt.Sprintf(
		"the object has too many fields in one place, %d here: added up, the squares of how many fields each object has may be at most %d, and are %d",
		m.largest, maxSquares, m.squares))})
}

// level is an object or a list that is being read.
type level struct {
	list    bool
	members int
	key     []byte // of the last member of an object, in quotes
}

// measureJSON measures valid JSON. If lists is false, only lists in the metadata may be sets.
func measureJSON(data []byte, lists bool) measure {
	m := measure{}
	var in []level
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			begin := i
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if len(in) > 0 {
				in[len(in)-1].key = data[begin : i+1]
			}
		case ':':
			in[len(in)-1].members++
			m.members++
			i = value(data, i)
		case '{':
			in = append(in, level{})
		case '[':
			in = append(in, level{list: true})
			if next := skipSpace(data, i+1); data[next] != ']' {
				in[len(in)-1].members++
				m.members++
			}
			i = value(data, i)
		case ',':
			if top := &in[len(in)-1]; top.list {
				top.members++
				m.members++
				i = value(data, i)
			}
		case '}', ']':
			if top := in[len(in)-1]; !top.list || lists || string(in[0].key) == `"metadata"` {
				m.count(top.members, func() string { return path(in[:len(in)-1]) })
			}
			in = in[:len(in)-1]
		}
	}
	return m
}

// value returns where to continue after a value that follows i, if that is a string; i otherwise.
func value(data []byte, i int) int {
	next := skipSpace(data, i+1)
	if data[next] != '"' {
		return i
	}
	for next++; data[next] != '"'; next++ {
		if data[next] == '\\' {
			next++
		}
	}
	return next
}

func skipSpace(data []byte, i int) int {
	for strings.IndexByte(" \t\r\n", data[i]) >= 0 {
		i++
	}
	return i
}

// path returns the path of what is being read.
func path(in []level) string {
	var b strings.Builder
	for _, l := range in {
		if l.list {
			fmt.Fprintf(&b, "[%d]", l.members-1)
			continue
		}
		key := string(l.key)
		if unquoted, err := strconv.Unquote(key); err == nil {
			key = unquoted
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key[:min(len(key), 100)])
	}
	return b.String()
}

// measureObject measures an object in memory.
func measureObject(obj runtime.Object, lists bool) (measure, error) {
	switch obj := obj.(type) {
	case *unstructured.Unstructured:
		m := measure{}
		m.walk(obj.Object, lists, 0)
		return m, nil
	case interface{ Size() int }:
		if obj.Size() <= smallObject {
			return measure{}, nil
		}
	}
	data, err := json.Marshal(obj)
	if err != nil {
		return measure{}, fmt.Errorf("measuring an object: %w", err)
	}
	return measureJSON(data, lists), nil
}

// walk is measureJSON for what was decoded.
func (m *measure) walk(value any, lists bool, depth int) {
	switch value := value.(type) {
	case map[string]any:
		m.members += len(value)
		m.count(len(value), func() string { return "" })
		for key, v := range value {
			m.walk(v, lists || depth == 0 && key == "metadata", depth+1)
		}
	case []any:
		m.members += len(value)
		if lists {
			m.count(len(value), func() string { return "" })
		}
		for _, v := range value {
			m.walk(v, lists, depth+1)
		}
	}
}
