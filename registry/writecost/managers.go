package writecost

import (
	"bytes"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/json"
)

const (
	// maxManagers is how many entries metadata.managedFields may have. Stock handlers keep ten of those who update, and all who apply.
	maxManagers = 1_000
	// maxConverted is how many members all conversions of an object for the managers of other versions may have, about two seconds.
	maxConverted = 1 << 20
)

var managersPath = field.NewPath("metadata", "managedFields")

// managers counts the entries of metadata.managedFields by the version that they are for.
type managers map[string]int

func (m *managers) add(o managers) {
	if *m == nil {
		*m = managers{}
	}
	for version, n := range o {
		(*m)[version] += n
	}
}

func (m managers) all() int {
	n := 0
	for _, of := range m {
		n += of
	}
	return n
}

// check returns an API status if there are too many managers.
func (m managers) check(w *write) error {
	if n := m.all(); n > maxManagers {
		return invalid(w.info, field.ErrorList{field.TooMany(managersPath, n, maxManagers)})
	}
	return nil
}

// managersOf returns the managers of an object in valid JSON.
func managersOf(data []byte) managers {
	if !bytes.Contains(data, []byte("managedFields")) && !bytes.ContainsRune(data, '\\') {
		return nil
	}
	var obj struct {
		Metadata struct {
			ManagedFields []struct {
				APIVersion string `json:"apiVersion"`
			} `json:"managedFields"`
		} `json:"metadata"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(data, &obj); err != nil {
		return nil // refused by the stock handlers
	}
	m := managers{}
	for _, entry := range obj.Metadata.ManagedFields {
		m[entry.APIVersion]++
	}
	return m
}

// managersIn returns the managers of an object in memory.
func managersIn(obj runtime.Object) managers {
	m := managers{}
	if u, ok := obj.(*unstructured.Unstructured); ok { // its accessor converts all of them
		entries, _, _ := unstructured.NestedFieldNoCopy(u.Object, "metadata", "managedFields")
		list, _ := entries.([]any)
		for _, entry := range list {
			fields, _ := entry.(map[string]any)
			version, _ := fields["apiVersion"].(string)
			m[version]++
		}
		return m
	}
	if accessor, err := meta.Accessor(obj); err == nil {
		for _, entry := range accessor.GetManagedFields() {
			m[entry.APIVersion]++
		}
	}
	return m
}

// checkFields returns an API status if it would take too long to find out who manages which fields after the request has changed obj.
func (w *write) checkFields(obj runtime.Object) error {
	known := managersIn(obj)
	version := schema.GroupVersion{Group: w.info.APIGroup, Version: w.info.APIVersion}.String()
	others := max(w.managers.all()-w.managers[version], known.all()-known[version])
	patch := w.info.Verb == "patch"
	if patch {
		others = w.managers.all() - w.managers[version] + known.all() - known[version]
	}
	if !patch && others == 0 {
		return nil
	}
	all, err := measureObject(obj, w.lists)
	if err != nil {
		return err
	}
	all.add(w.measured)
	if others > 0 && all.members > maxConverted/others {
		return invalid(w.info, field.ErrorList{field.Invalid(managersPath, field.OmitValueType{}, fmt.Sprintf(
			"%d managers of other versions than %s are too many for an object with %d fields, which allows for %d", others, version, all.members, maxConverted/all.members))})
	}
	if patch {
		return all.check(w)
	}
	return nil
}

// CheckManagers returns an API status if obj, which becomes what it was before, has too many managers, and more than before. Before is nil
// for a new object.
func CheckManagers(obj, before runtime.Object, gr schema.GroupResource) error {
	n := count(obj)
	if n <= maxManagers || before != nil && n <= count(before) {
		return nil
	}
	name := ""
	if accessor, err := meta.Accessor(obj); err == nil {
		name = accessor.GetName()
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: gr.Group, Kind: gr.Resource}, name, field.ErrorList{field.TooMany(managersPath, n, maxManagers)})
}

func count(obj runtime.Object) int { return managersIn(obj).all() }

// invalid returns the API status for a request.
func invalid(info *genericapirequest.RequestInfo, errs field.ErrorList) error {
	return apierrors.NewInvalid(schema.GroupKind{Group: info.APIGroup, Kind: info.Resource}, info.Name, errs)
}
