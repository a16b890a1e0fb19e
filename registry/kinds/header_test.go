package kinds

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// slow notes that the whole object was looked through.
type slow struct {
	json.MetaFactory
	asked bool
}

// Interpret implements json.MetaFactory.
func (s *slow) Interpret(data []byte) (*schema.GroupVersionKind, error) {
	s.asked = true
	return s.MetaFactory.Interpret(data)
}

func TestHeader_ReadsWhatTheStockOneReads(t *testing.T) {
	for data, wantSlow := range map[string]bool{
		`{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"x"}}`: false,
		`{"apiVersion":"v1","kind":"Widget","metadata":{"kind":"Gadget"}}` + "\n": false,
		`{"apiVersion":"a/b/c","kind":"Widget","metadata":{}}`:                    false,
		`{"metadata":{"name":"x"},"kind":"Widget","apiVersion":"example.com/v1"}`: true,
		`{"kind":"Wid\\u0067et","apiVersion":"example.com/v1","metadata":{}}`:     true,
		`{"kind":"Widget","metadata":{},"apiVersion":"example.com/v1"}`:           true,
		`{"kind":"Widget","kind":"Gadget","apiVersion":"example.com/v1"}`:         true,
		`{"kind":"Widget","apiVersion":"v1"}`:                                     true,
		`{"kind":"","apiVersion":"v1","metadata":{}}`:                             true,
		`{"apiVersion":"v1","metadata":{}}`:                                       true,
		` {"kind":"Widget","apiVersion":"v1","metadata":{}}`:                      true,
		`{`:               true,
		``:                true,
		`{"kind":"Widget`: true,
	} {
		stock := &slow{MetaFactory: json.DefaultMetaFactory}
		got, gotErr := header{stock}.Interpret([]byte(data))
		want, wantErr := json.DefaultMetaFactory.Interpret([]byte(data))
		if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) || stock.asked != wantSlow {
			t.Errorf("%s: %v, %v, slow: %t; want %v, %v, slow: %t", data, got, gotErr, stock.asked, want, wantErr, wantSlow)
		}
	}
}
