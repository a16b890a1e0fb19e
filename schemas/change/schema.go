package change

import (
	"encoding/json"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
)

type props = apiextensionsv1.JSONSchemaProps

func equal(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }

// shown returns the name of a field for a Change.
func shown(field string) string {
	if field == "" {
		return "."
	}
	return field
}

// below returns the name of a field of the object field.
func below(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

// compare compares the schemas of a field; empty for the object as a whole.
func (l *log) compare(from, to *props, field string) {
	if equal(from, to) {
		return
	}
	if old, now := kind(from), kind(to); old != now {
		l.breaking(shown(field), "the type changes from %s to %s", old, now)
		return // whatever else differs follows from that
	}
	l.nullable(from, to, field)
	l.bounds(from, to, field)
	l.enum(from, to, field)
	l.fallback(from, to, field)
	l.rules(from, to, field)
	l.combined(from, to, field)
	l.merged(from, to, field)
	l.fields(from, to, field)
	l.values(from, to, field)
	l.items(from, to, field)
}

// kind says what values a schema is about.
func kind(s *props) string {
	switch {
	case s.XIntOrString:
		return "integer or string"
	case s.Type == "":
		return "anything"
	}
	return s.Type
}

func (l *log) nullable(from, to *props, field string) {
	switch {
	case from.Nullable && !to.Nullable:
		l.breaking(shown(field), "may no longer be null")
	case !from.Nullable && to.Nullable:
		l.compatible(shown(field), "may be null")
	}
	switch {
	case !from.XEmbeddedResource && to.XEmbeddedResource:
		l.breaking(shown(field), "must be a whole object with apiVersion and kind")
	case from.XEmbeddedResource && !to.XEmbeddedResource:
		l.compatible(shown(field), "need not be a whole object any more")
	}
}

func (l *log) enum(from, to *props, field string) {
	if len(from.Enum) == 0 && len(to.Enum) == 0 {
		return
	}
	old, now := texts(from.Enum), texts(to.Enum)
	gone, added := sets.List(old.Difference(now)), sets.List(now.Difference(old))
	switch {
	case len(from.Enum) == 0:
		l.breaking(shown(field), "must be one of %s", strings.Join(added, ", "))
	case len(to.Enum) == 0:
		l.compatible(shown(field), "may be any value, no longer only %s", strings.Join(gone, ", "))
	default:
		if len(gone) > 0 {
			l.breaking(shown(field), "may no longer be %s", strings.Join(gone, ", "))
		}
		if len(added) > 0 {
			l.compatible(shown(field), "may be %s, too", strings.Join(added, ", "))
		}
	}
}

func texts(values []apiextensionsv1.JSON) sets.Set[string] {
	all := sets.New[string]()
	for _, value := range values {
		all.Insert(canonical(&value))
	}
	return all
}

// canonical returns JSON without spaces and with sorted keys; "nothing" for nil.
func canonical(raw *apiextensionsv1.JSON) string {
	if raw == nil {
		return "nothing"
	}
	var value any
	if err := json.Unmarshal(raw.Raw, &value); err != nil {
		return string(raw.Raw)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return string(raw.Raw)
	}
	return string(text)
}

// fallback compares defaults. A default that is new changes what is read of objects that exist, as every new field does.
func (l *log) fallback(from, to *props, field string) {
	old, now := canonical(from.Default), canonical(to.Default)
	switch {
	case old == now:
	case from.Default == nil:
		l.compatible(shown(field), "has the default %s", now)
	case to.Default == nil:
		l.breaking(shown(field), "has no default any more; it was %s", old)
	default:
		l.breaking(shown(field), "the default changes from %s to %s", old, now)
	}
}

func (l *log) rules(from, to *props, field string) {
	is := func(rule string) func(apiextensionsv1.ValidationRule) bool {
		return func(r apiextensionsv1.ValidationRule) bool { return r.Rule == rule }
	}
	for _, r := range to.XValidations {
		if !slices.ContainsFunc(from.XValidations, is(r.Rule)) {
			l.breaking(shown(field), "has a new rule: %s", r.Rule)
		}
	}
	for _, r := range from.XValidations {
		at := slices.IndexFunc(to.XValidations, is(r.Rule))
		switch {
		case at < 0:
			l.compatible(shown(field), "a rule is removed: %s", r.Rule)
		case isTrue(r.OptionalOldSelf) && !isTrue(to.XValidations[at].OptionalOldSelf):
			l.compatible(shown(field), "a rule no longer holds on create: %s", r.Rule)
		case !isTrue(r.OptionalOldSelf) && isTrue(to.XValidations[at].OptionalOldSelf):
			l.breaking(shown(field), "a rule holds on create, too: %s", r.Rule)
		}
	}
}

func isTrue(value *bool) bool { return value != nil && *value }

// combined compares what combines schemas: these are not taken apart.
func (l *log) combined(from, to *props, field string) {
	for _, c := range []struct {
		what     string
		from, to any
		gone     bool
	}{
		{"allOf", from.AllOf, to.AllOf, len(to.AllOf) == 0},
		{"anyOf", from.AnyOf, to.AnyOf, len(to.AnyOf) == 0},
		{"oneOf", from.OneOf, to.OneOf, len(to.OneOf) == 0},
		{"not", from.Not, to.Not, to.Not == nil},
	} {
		switch {
		case equal(c.from, c.to):
		case c.gone:
			l.compatible(shown(field), "%s is removed", c.what)
		default:
			l.breaking(shown(field), "%s changes", c.what)
		}
	}
}

// merged compares how apply merges lists and maps. A list whose items have keys has each only once.
func (l *log) merged(from, to *props, field string) {
	old, now := value(from.XListType, "atomic"), value(to.XListType, "atomic")
	switch {
	case old != now && now == "atomic":
		l.compatible(shown(field), "apply replaces the list as a whole")
	case old != now:
		l.breaking(shown(field), "the list type changes from %s to %s: items must differ, and apply merges them", old, now)
	case !slices.Equal(from.XListMapKeys, to.XListMapKeys):
		l.breaking(shown(field), "the keys of items change from %s to %s", strings.Join(from.XListMapKeys, ", "), strings.Join(to.XListMapKeys, ", "))
	}
	if old, now := value(from.XMapType, "granular"), value(to.XMapType, "granular"); old != now {
		l.compatible(shown(field), "apply treats the object as %s, no longer as %s", now, old)
	}
}

func value(text *string, otherwise string) string {
	if text == nil {
		return otherwise
	}
	return *text
}

// keeps reports whether fields that a schema does not name stay.
func keeps(s *props) bool { return isTrue(s.XPreserveUnknownFields) }

func (l *log) fields(from, to *props, field string) {
	switch {
	case keeps(from) && !keeps(to):
		l.breaking(shown(field), "unknown fields are no longer kept")
	case !keeps(from) && keeps(to):
		l.compatible(shown(field), "unknown fields are kept")
	}
	required := sets.New(to.Required...)
	for _, name := range sets.List(required.Difference(sets.New(from.Required...))) {
		if p, ok := to.Properties[name]; ok && p.Default != nil {
			l.compatible(below(field, name), "is always there, with its default")
			continue
		}
		l.breaking(below(field, name), "is required, and has no default")
	}
	for _, name := range sets.List(sets.New(from.Required...).Difference(required)) {
		if _, stays := to.Properties[name]; stays {
			l.compatible(below(field, name), "is optional: clients may find objects without it")
		}
	}
	for _, name := range sets.List(sets.KeySet(from.Properties).Union(sets.KeySet(to.Properties))) {
		old, was := from.Properties[name]
		now, is := to.Properties[name]
		at := below(field, name)
		if now.Default != nil && old.Default == nil && to.MaxProperties != nil {
			l.breaking(at, "its default counts as one of at most %d fields", *to.MaxProperties)
		}
		switch {
		case was && is:
			l.compare(&old, &now, at)
		case was && valuesOf(to) != nil:
			l.breaking(at, "is no field of its own any more, but a value of a map")
		case was && keeps(to):
			l.compatible(at, "is kept, and no longer checked")
		case was:
			l.breaking(at, "is removed: its value is dropped")
		case keeps(from):
			l.breaking(at, "has a schema: values that were kept as they are may be refused")
		default:
			l.compatible(at, "is new")
		}
	}
}

// values compares the values of a map.
func (l *log) values(from, to *props, field string) {
	old, now := valuesOf(from), valuesOf(to)
	switch {
	case old != nil && now != nil:
		l.compare(old, now, field+"{}")
	case old != nil && !keeps(to):
		l.breaking(shown(field), "is no map any more: its values are dropped")
	case now != nil && keeps(from):
		l.breaking(shown(field), "is a map: values that were kept as they are may be refused")
	case now != nil:
		l.compatible(shown(field), "is a map")
	}
}

// valuesOf returns the schema of the values of a map; nil for what is none.
func valuesOf(s *props) *props {
	switch {
	case s.AdditionalProperties == nil:
		return nil
	case s.AdditionalProperties.Schema != nil:
		return s.AdditionalProperties.Schema
	case s.AdditionalProperties.Allows:
		keep := true
		return &props{XPreserveUnknownFields: &keep}
	}
	return nil
}

func (l *log) items(from, to *props, field string) {
	old, now := itemsOf(from), itemsOf(to)
	switch {
	case old != nil && now != nil:
		l.compare(old, now, field+"[]")
	case old != nil:
		l.compatible(shown(field), "its items are no longer checked")
	case now != nil:
		l.breaking(shown(field), "its items have a schema: those that were kept as they are may be refused")
	}
}

func itemsOf(s *props) *props {
	if s.Items == nil {
		return nil
	}
	return s.Items.Schema
}
