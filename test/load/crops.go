package main

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// badEvery is that of so many consumers, one has objects that the next schema does not allow; more are good if there are very many.
	badEvery = 25
	// mostBad is how many such consumers there are at most: a report lists 1,000 objects.
	mostBad = 200
	// badObjects is how many such objects each of them has at most.
	badObjects = 5
)

// crops are the objects of consumers before a breaking change.
type crops struct {
	consumers, each int
	every           int // of so many consumers, one is bad
}

func cropsOf(consumers, objects int) crops {
	return crops{consumers: consumers, each: max(objects/consumers, 1), every: max(badEvery, (consumers+mostBad-1)/mostBad)}
}

// bad reports whether a consumer has objects that the next schema does not allow.
func (c crops) bad(consumer int) bool { return consumer%c.every == c.every/2 }

// isInvalid reports whether the next schema does not allow an object of a consumer.
func (c crops) isInvalid(consumer, i int) bool {
	return c.bad(consumer) && i%2 == 0 && i < 2*badObjects
}

// invalid is how many objects the next schema does not allow.
func (c crops) invalid() (n int) {
	for consumer := range c.consumers {
		for i := range c.each {
			if c.isInvalid(consumer, i) {
				n++
			}
		}
	}
	return n
}

// object returns an object of 1 KiB. Those that are invalid are so in several ways.
func (c crops) object(consumer, i int) *unstructured.Unstructured {
	spec := map[string]any{"color": payload, "size": int64(3)}
	if c.isInvalid(consumer, i) {
		switch (consumer/c.every + i/2) % 4 {
		case 0:
			spec["size"] = int64(1000) // above the maximum
		case 1:
			delete(spec, "size") // required, without a default
		case 2:
			spec["color"] = payload + payload // too long
		case 3:
			spec["size"] = int64(13) // against a rule
		}
	}
	return newObject(widgets, "Widget", nameOf(i), map[string]any{"spec": spec})
}

// newNextSchema returns the schema that narrows what objects may have.
func newNextSchema() *unstructured.Unstructured {
	next := newWidgetSchema()
	next.SetName(nextSchemaName)
	versions, _, _ := unstructured.NestedSlice(next.Object, "spec", "versions")
	version, _ := versions[0].(map[string]any)
	_ = unstructured.SetNestedMap(version, map[string]any{
		"type": "object", "required": []any{"size"},
		"x-kubernetes-validations": []any{map[string]any{"rule": "self.size != 13", "message": "13 is taken"}},
		"properties": map[string]any{
			"color": map[string]any{"type": "string", "maxLength": int64(len(payload))},
			"size":  map[string]any{"type": "integer", "maximum": int64(100)},
			"tag":   map[string]any{"type": "string", "default": "none"},
		},
	}, "schema", "properties", "spec")
	_ = unstructured.SetNestedSlice(next.Object, versions, "spec", "versions")
	return next
}
