package rollout

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/schemas/fit"
)

const (
	// maxFaults is how many objects a message names.
	maxFaults = 3
	// maxFields is how many of their fields it names.
	maxFields = 3
	// compiledSchemas is how many schemas a checker keeps compiled.
	compiledSchemas = 4
)

// Checker validates what consumers store.
type Checker interface {
	// Check validates objects of a consumer against the new schemas of their resources, from where p ends and for about limit, and notes in p
	// what it found. It reports whether there is nothing more to do: all objects are valid, or enough of them are not.
	Check(ctx context.Context, consumer logicalcluster.Name, schemas map[schema.GroupResource]*apisv1alpha1.APIResourceSchema, p *progress, limit time.Duration) (done bool, err error)
}

// progress is a validation of one consumer that may not be complete.
type progress struct {
	binding  client.Key
	revision int64
	// identity says under which identity the objects are stored.
	identity string
	// seen is the last object that was validated.
	seen place
	// faults name objects that are not valid.
	faults []string
}

// place is where an object is among those of a consumer.
type place struct{ group, resource, namespace, name string }

func placeOf(h client.Head) place {
	return place{h.Resource.Group, h.Resource.Resource, h.Namespace, h.Name}
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.group, other.group), cmp.Compare(p.resource, other.resource), cmp.Compare(p.namespace, other.namespace), cmp.Compare(p.name, other.name))
}

// objects is a Checker.
type objects struct {
	content client.Content
	reader  client.Reader
	now     func() time.Time

	mu       sync.Mutex
	compiled []compiled // the last used comes last
}

// compiled is a schema that is ready to check objects.
type compiled struct {
	// uid is that of the schema, and rules what its APIConversion was.
	uid, rules string
	checker    *fit.Checker
}

// NewChecker returns a Checker of the objects that content has. It reads APIConversions from reader.
func NewChecker(content client.Content, reader client.Reader) Checker {
	return &objects{content: content, reader: reader, now: time.Now}
}

// Check implements Checker. An object that cannot be read is no worse off with another schema.
func (o *objects) Check(ctx context.Context, consumer logicalcluster.Name, schemas map[schema.GroupResource]*apisv1alpha1.APIResourceSchema, p *progress, limit time.Duration) (bool, error) {
	begun := o.now()
	heads, err := o.content.List(ctx, client.ContentScope{Cluster: consumer, Wanted: func(gr schema.GroupResource, bucket string) bool {
		return schemas[gr] != nil && bucket == p.identity
	}})
	if err != nil {
		return false, fmt.Errorf("finding objects in %q: %w", consumer, err)
	}
	slices.SortFunc(heads, func(a, b client.Head) int { return placeOf(a).compare(placeOf(b)) })
	for _, h := range heads {
		at := placeOf(h)
		if at.compare(p.seen) <= 0 || h.Damaged {
			continue
		}
		fault, err := o.fault(ctx, schemas[h.Resource], h)
		if err != nil {
			return false, err
		}
		p.seen = place{strings.Clone(at.group), strings.Clone(at.resource), strings.Clone(at.namespace), strings.Clone(at.name)}
		if fault != "" {
			p.faults = append(p.faults, fault)
		}
		if len(p.faults) >= maxFaults {
			return true, nil
		}
		if o.now().Sub(begun) >= limit {
			return false, nil
		}
	}
	return true, nil
}

// fault returns why the object of h is not valid with source; empty if it is.
func (o *objects) fault(ctx context.Context, source *apisv1alpha1.APIResourceSchema, h client.Head) (string, error) {
	obj, err := o.content.Get(ctx, h)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s %s: %w", h.Resource, h.Key(), err)
	}
	stored, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return "", fmt.Errorf("reading %s %s: unexpected type %T", h.Resource, h.Key(), obj)
	}
	checker, err := o.checker(ctx, source)
	if err != nil {
		return "", err
	}
	faults, more, err := checker.Check(ctx, stored)
	if err != nil {
		return "", fmt.Errorf("validating %s %s: %w", h.Resource, h.Key(), err)
	}
	if len(faults) == 0 {
		return "", nil
	}
	name := h.Name
	if h.Namespace != "" {
		name = h.Namespace + "/" + name
	}
	text := fmt.Sprintf("%s %q:", h.Resource, name)
	for i, f := range faults {
		if i == maxFields {
			more += len(faults) - i
			break
		}
		if f.Field != "" {
			text += " " + f.Field
		}
		text += " " + f.Message + ";"
	}
	if more > 0 {
		return fmt.Sprintf("%s and %d more", text, more), nil
	}
	return strings.TrimSuffix(text, ";"), nil
}

// checker returns what checks objects by source.
func (o *objects) checker(ctx context.Context, source *apisv1alpha1.APIResourceSchema) (*fit.Checker, error) {
	wanted := compiled{uid: string(source.UID)}
	var rules *apisv1alpha1.APIConversion
	if crd.Converts(source) {
		var err error
		if rules, err = client.Find[apisv1alpha1.APIConversion](ctx, o.reader, conversions, client.KeyOf(source)); err != nil {
			return nil, fmt.Errorf("reading the APIConversion of schema %q: %w", source.Name, err)
		}
		if rules != nil {
			wanted.rules = string(rules.UID) + "/" + rules.ResourceVersion
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, known := range o.compiled {
		if known.uid == wanted.uid && known.rules == wanted.rules {
			o.compiled = append(slices.Delete(o.compiled, i, i+1), known)
			return known.checker, nil
		}
	}
	definition, err := crd.FromSchema(source)
	if err != nil {
		return nil, fmt.Errorf("reading APIResourceSchema %q: %w", source.Name, err)
	}
	if err := crd.SetConversion(definition, rules); err != nil {
		return nil, fmt.Errorf("reading the APIConversion of schema %q: %w", source.Name, err)
	}
	if wanted.checker, err = fit.New(definition); err != nil {
		return nil, fmt.Errorf("compiling APIResourceSchema %q: %w", source.Name, err)
	}
	if len(o.compiled) == compiledSchemas {
		o.compiled = slices.Delete(o.compiled, 0, 1)
	}
	o.compiled = append(o.compiled, wanted)
	return wanted.checker, nil
}

// messageOf returns one text for faults.
func messageOf(faults []string) string { return strings.Join(faults, ". ") }
