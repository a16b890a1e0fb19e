package fit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/schemas/conversion"
	"github.com/annex-dev/annex/schemas/cost"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/schemas/form"
)

// perObject is how long the rules of an APIConversion, or CEL rules, may take for one object.
const perObject = 2 * time.Second

// Checker checks objects by one definition. It is safe for concurrent use.
type Checker struct {
	group, kind string
	namespaced  bool
	growth      cost.Growth
	schemas     *form.Schemas
	rules       *conversion.Rules // nil if only the apiVersion changes
	webhook     bool              // converts, and is not asked
	known       []string          // all versions
	served      []*version        // the one that is stored comes first
}

// New returns a Checker for a definition, which must be valid, and which may contain the rules of an APIConversion. It compiles schemas and
// rules, which takes some milliseconds and some hundred KiB.
func New(definition *apiextensionsv1.CustomResourceDefinition) (*Checker, error) {
	c := &Checker{
		group: definition.Spec.Group, kind: definition.Spec.Names.Kind, namespaced: definition.Spec.Scope == apiextensionsv1.NamespaceScoped,
		growth: cost.NewGrowth(definition),
	}
	var err error
	if c.schemas, err = form.New(definition); err != nil {
		return nil, err
	}
	if converts := definition.Spec.Conversion; converts != nil {
		c.webhook = converts.Strategy == apiextensionsv1.WebhookConverter
	}
	spec, err := crd.Conversion(definition)
	if err != nil {
		return nil, err
	}
	if spec != nil && !c.webhook {
		rules, errs := conversion.Compile(spec, definition)
		if len(errs) > 0 {
			return nil, fmt.Errorf("the APIConversion does not fit the schema: %w", errs.ToAggregate())
		}
		c.rules = rules
	}
	for i := range definition.Spec.Versions {
		v := &definition.Spec.Versions[i]
		c.known = append(c.known, v.Name)
		if !v.Served {
			continue
		}
		one, err := newVersion(v, c.schemas.Of(v.Name))
		if err != nil {
			return nil, err
		}
		if v.Storage {
			c.served = slices.Insert(c.served, 0, one)
		} else {
			c.served = append(c.served, one)
		}
	}
	return c, nil
}

// Check returns why an object does not fit, at most MaxFaults faults, and how many more there are; none if it fits. The object is as it is
// stored, in any version, and is not changed. The error is of ctx, or of the definition; then nothing is known of the object.
func (c *Checker) Check(ctx context.Context, stored *unstructured.Unstructured) (faults []Fault, more int, err error) {
	faults, err = c.check(ctx, stored)
	if err != nil {
		return nil, 0, err
	}
	first, more := sorted(faults)
	return first, more, nil
}

func (c *Checker) check(ctx context.Context, stored *unstructured.Unstructured) ([]Fault, error) {
	gvk := stored.GroupVersionKind()
	one := func(path, message string) []Fault { return []Fault{newFault(gvk.Version, path, message)} }
	switch {
	case gvk.Group != c.group || gvk.Kind != c.kind:
		return one("kind", fmt.Sprintf("must be %s of group %s", c.kind, c.group)), nil
	case !slices.Contains(c.known, gvk.Version):
		return one("apiVersion", fmt.Sprintf("is stored in version %s, which does not exist any more", gvk.Version)), nil
	case (stored.GetNamespace() != "") != c.namespaced:
		return one("metadata.namespace", "is not of the scope of the resource"), nil
	}
	if where, ok := c.growth.Check(stored.Object); !ok {
		return one("", cost.TooMuch(where)), nil
	}
	obj := stored.DeepCopy()
	if err := c.schemas.Stored(obj); err != nil {
		return one("metadata", "cannot be read"), nil //nolint:nilerr // why not may quote the value
	}
	var faults []Fault
	for _, v := range c.served {
		if c.webhook && v.name != gvk.Version {
			continue
		}
		in, fault, err := c.converted(ctx, obj, v.name)
		if err != nil {
			return nil, err
		}
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		found, err := v.check(ctx, in)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
	}
	return faults, nil
}

// converted returns obj in a version, in the form that a client would read and write back; or why that cannot be.
func (c *Checker) converted(ctx context.Context, obj *unstructured.Unstructured, to string) (*unstructured.Unstructured, *Fault, error) {
	if obj.GroupVersionKind().Version == to {
		return obj, nil, nil
	}
	out := obj.DeepCopy()
	if c.rules == nil {
		out.SetAPIVersion(schema.GroupVersion{Group: c.group, Version: to}.String())
	} else {
		limited, cancel := context.WithTimeout(ctx, perObject)
		defer cancel()
		converted, err := c.rules.Convert(limited, obj.Object, to, conversion.NewBudget(1, 0))
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			fault := newFault(to, "", "the rules of the APIConversion cannot convert it")
			var of *field.Error
			if errors.As(err, &of) {
				fault.Field = newFault(to, of.Field, "").Field
			}
			return nil, &fault, nil
		}
		out.Object = converted
	}
	if err := c.schemas.Converted(out); err != nil {
		fault := newFault(to, "metadata", "cannot be read")
		return nil, &fault, nil //nolint:nilerr // why not may quote the value
	}
	if where, ok := c.growth.Check(out.Object); !ok {
		fault := newFault(to, "", cost.TooMuch(where))
		return nil, &fault, nil
	}
	c.schemas.Default(out)
	return out, nil, nil
}
