package change

import (
	"cmp"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Change is one difference between two definitions.
type Change struct {
	// Version is the API version that it is about; empty for the API as a whole.
	Version string `json:"version,omitempty"`
	// Field is the field that it is about, such as "spec.ports[].name" or, for the values of a map, "spec.labels{}". Empty if it is about
	// none, "." for the object as a whole.
	Field string `json:"field,omitempty"`
	// Breaking is whether it may break a client or an object.
	Breaking bool `json:"breaking"`
	// Message says what has changed, without the field.
	Message string `json:"message"`
}

// String returns the change in a line.
func (c Change) String() string {
	line := c.Message
	if c.Field != "" {
		line = c.Field + ": " + line
	}
	if c.Version != "" {
		line = c.Version + " " + line
	}
	return line
}

// Breaking returns the breaking ones of changes.
func Breaking(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return !c.Breaking })
}

// Between returns the changes from one definition of an API to another, breaking ones first, and apart from that by version and field. Neither
// needs to be defaulted.
func Between(from, to *apiextensionsv1.CustomResourceDefinition) []Change {
	from, to = defaulted(from), defaulted(to)
	l := &log{}
	l.definition(&from.Spec, &to.Spec)
	for i := range from.Spec.Versions {
		version := &from.Spec.Versions[i]
		if !version.Served {
			continue
		}
		l.version = version.Name
		at := slices.IndexFunc(to.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == version.Name })
		switch {
		case at < 0:
			l.breaking("", "the version is removed")
		case !to.Spec.Versions[at].Served:
			l.breaking("", "the version is no longer served")
		default:
			l.versions(version, &to.Spec.Versions[at])
		}
	}
	for i := range to.Spec.Versions {
		version := &to.Spec.Versions[i]
		known := slices.ContainsFunc(from.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == version.Name && v.Served
		})
		if l.version = version.Name; version.Served && !known {
			l.compatible("", "the version is new")
		}
	}
	slices.SortStableFunc(l.changes, func(a, b Change) int {
		if a.Breaking != b.Breaking {
			if a.Breaking {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Field, b.Field))
	})
	return l.changes
}

func defaulted(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	definition = definition.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(definition)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&definition.Spec)
	return definition
}

// log collects the changes of one version.
type log struct {
	version string
	changes []Change
}

func (l *log) breaking(field, format string, args ...any) {
	l.changes = append(l.changes, Change{Version: l.version, Field: field, Breaking: true, Message: fmt.Sprintf(format, args...)})
}

func (l *log) compatible(field, format string, args ...any) {
	l.changes = append(l.changes, Change{Version: l.version, Field: field, Message: fmt.Sprintf(format, args...)})
}

// definition compares what holds for all versions.
func (l *log) definition(from, to *apiextensionsv1.CustomResourceDefinitionSpec) {
	for _, same := range []struct{ what, from, to string }{
		{"group", from.Group, to.Group},
		{"plural name", from.Names.Plural, to.Names.Plural},
		{"kind", from.Names.Kind, to.Names.Kind},
		{"kind of lists", from.Names.ListKind, to.Names.ListKind},
		{"scope", string(from.Scope), string(to.Scope)},
	} {
		if same.from != same.to {
			l.breaking("", "the %s changes from %s to %s", same.what, same.from, same.to)
		}
	}
	if old, now := storage(from), storage(to); old != now {
		l.compatible("", "objects that are written are stored as %s, no longer as %s", now, old)
	}
	switch {
	case from.PreserveUnknownFields && !to.PreserveUnknownFields:
		l.breaking("", "unknown fields are no longer kept")
	case !from.PreserveUnknownFields && to.PreserveUnknownFields:
		l.compatible("", "unknown fields are kept")
	}
}

func storage(spec *apiextensionsv1.CustomResourceDefinitionSpec) string {
	for i := range spec.Versions {
		if spec.Versions[i].Storage {
			return spec.Versions[i].Name
		}
	}
	return ""
}

// versions compares a version that is served before and after.
func (l *log) versions(from, to *apiextensionsv1.CustomResourceDefinitionVersion) {
	if to.Deprecated && !from.Deprecated {
		l.compatible("", "the version is deprecated")
	}
	oldStatus, oldScale := subresources(from)
	status, scale := subresources(to)
	switch {
	case status && !oldStatus:
		l.breaking("status", "becomes a subresource: a write of the object no longer changes it")
	case oldStatus && !status:
		l.breaking("status", "is no subresource any more")
	}
	switch {
	case oldScale == nil && scale != nil:
		l.compatible("", "the subresource scale is new")
	case oldScale != nil && scale == nil:
		l.breaking("", "the subresource scale is removed")
	case oldScale != nil && !equal(oldScale, scale):
		l.breaking("", "the subresource scale refers to other fields")
	}
	now := selectable(to)
	for path := range selectable(from).Difference(now) {
		l.breaking(fieldOf(path), "can no longer be used in field selectors")
	}
	for path := range now.Difference(selectable(from)) {
		l.compatible(fieldOf(path), "can be used in field selectors")
	}
	l.compare(schemaOf(from), schemaOf(to), "")
}

func subresources(v *apiextensionsv1.CustomResourceDefinitionVersion) (status bool, scale *apiextensionsv1.CustomResourceSubresourceScale) {
	if v.Subresources == nil {
		return false, nil
	}
	return v.Subresources.Status != nil, v.Subresources.Scale
}

func selectable(v *apiextensionsv1.CustomResourceDefinitionVersion) sets.Set[string] {
	paths := sets.New[string]()
	for _, f := range v.SelectableFields {
		paths.Insert(f.JSONPath)
	}
	return paths
}

// fieldOf returns the field of a simple JSONPath.
func fieldOf(path string) string {
	if len(path) > 0 && path[0] == '.' {
		return path[1:]
	}
	return path
}

// schemaOf returns the schema of a version; one without a schema keeps everything.
func schemaOf(v *apiextensionsv1.CustomResourceDefinitionVersion) *apiextensionsv1.JSONSchemaProps {
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		keep := true
		return &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}
	}
	return v.Schema.OpenAPIV3Schema
}
