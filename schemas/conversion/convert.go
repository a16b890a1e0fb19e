package conversion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// DefaultTimeout is how long the transformations of one object may take.
const DefaultTimeout = time.Second

// Convert returns obj, a custom resource that is not changed, in a version of its group. What it returns shares only metadata with obj. Errors
// about a field are *field.Error, with its path in the version that was converted.
func (r *Rules) Convert(ctx context.Context, obj map[string]any, to string, budget *Budget) (map[string]any, error) {
	apiVersion, _ := obj["apiVersion"].(string)
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || gv.Group != r.group {
		return nil, fmt.Errorf("%q is not a version of %s", apiVersion, r.group)
	}
	if gv.Version == to {
		return obj, nil
	}
	steps, err := r.steps(gv.Version, to)
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		if obj, err = step.convert(ctx, obj, r.group, budget.object()); err != nil {
			return nil, err
		}
	}
	return obj, nil
}

// steps returns the conversions that lead from one version to another.
func (r *Rules) steps(from, to string) ([]*conversion, error) {
	if direct := r.pairs[pair{from, to}]; direct != nil {
		return []*conversion{direct}, nil
	}
	first, second := r.pairs[pair{from, r.stored}], r.pairs[pair{r.stored, to}]
	if first == nil || second == nil {
		return nil, fmt.Errorf("the APIConversion has no conversion from %s to %s", from, to)
	}
	return []*conversion{first, second}, nil
}

func (c *conversion) convert(ctx context.Context, obj map[string]any, group string, spent *object) (map[string]any, error) {
	out := map[string]any{"apiVersion": schema.GroupVersion{Group: group, Version: c.to}.String(), "kind": obj["kind"]}
	if metadata, ok := obj["metadata"].(map[string]any); ok {
		out["metadata"] = maps.Clone(metadata)
	}
	for field, value := range c.restored(obj) {
		field.path.set(out, value)
	}
	for i := range c.rules {
		if err := c.rules[i].apply(ctx, obj, out, spent); err != nil {
			return nil, c.fault(c.rules[i].field, err)
		}
	}
	kept := map[string]any{}
	for _, p := range c.preserve {
		value, ok := p.path.get(obj)
		if !ok {
			continue
		}
		var err error
		if kept[p.key], err = spent.copied(value, p.schema); err != nil {
			return nil, c.fault(p.path, err)
		}
	}
	return out, c.annotate(out, kept)
}

func (c *conversion) fault(at Path, err error) error {
	return &field.Error{Type: field.ErrorTypeInvalid, Field: at.field(), BadValue: field.OmitValueType{},
		Detail: fmt.Sprintf("cannot be converted from %s to %s: %v", c.from, c.to, err)}
}

func (r *rule) apply(ctx context.Context, obj, out map[string]any, spent *object) error {
	value, ok := r.field.get(obj)
	if !ok {
		return nil
	}
	if r.program != nil {
		result, err := r.program.run(ctx, value, spent)
		if err != nil {
			return err
		}
		value = result
	}
	made, err := spent.copied(value, r.schema)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	r.destination.set(out, made)
	return nil
}

// annotations returns the annotations of an object; nil if it has none.
func annotations(obj map[string]any) map[string]any {
	metadata, _ := obj["metadata"].(map[string]any)
	all, _ := metadata["annotations"].(map[string]any)
	return all
}

// annotate makes kept the value of the annotation of the old version of out. The one of its new version has done its work.
func (c *conversion) annotate(out, kept map[string]any) error {
	metadata, ok := out["metadata"].(map[string]any)
	if !ok {
		return nil // only parts of objects have none
	}
	all := maps.Clone(annotations(out))
	delete(all, apisv1alpha1.PreserveAnnotationPrefix+c.from)
	delete(all, apisv1alpha1.PreserveAnnotationPrefix+c.to)
	if len(kept) > 0 {
		data, err := json.Marshal(kept)
		if err != nil {
			return fmt.Errorf("preserving fields of version %s: %w", c.from, err)
		}
		if all == nil {
			all = map[string]any{}
		}
		all[apisv1alpha1.PreserveAnnotationPrefix+c.from] = string(data)
	}
	if len(all) > 0 {
		metadata["annotations"] = all
	} else {
		delete(metadata, "annotations")
	}
	return nil
}

// restored returns the fields of the new version that obj has kept. What has another form than the rules and the schema say is not one: users
// write annotations, too, and may have written it before there were rules.
func (c *conversion) restored(obj map[string]any) map[*preserved]any {
	all, _ := c.read(obj)
	return all
}

func (c *conversion) read(obj map[string]any) (map[*preserved]any, error) {
	text, ok := annotations(obj)[apisv1alpha1.PreserveAnnotationPrefix+c.to].(string)
	if !ok || len(c.restore) == 0 {
		return nil, nil
	}
	var kept map[string]any
	if err := utiljson.Unmarshal([]byte(text), &kept); err != nil {
		return nil, fmt.Errorf("must be a JSON object: %w", err)
	}
	all := map[*preserved]any{}
	var fault error
	for key, value := range kept {
		path, err := ParsePath(key)
		if err != nil {
			fault = fmt.Errorf("%q: %w", key, err)
			continue
		}
		i := slices.IndexFunc(c.restore, func(p preserved) bool { return slices.Equal(p.path, path) })
		if i < 0 {
			continue // the rules have changed
		}
		if err := conforms(value, c.restore[i].schema); err != nil {
			fault = fmt.Errorf("%q: %w", key, err)
			continue
		}
		all[&c.restore[i]] = value
	}
	return all, fault
}

// CheckPreserved returns what is wrong with the annotations of obj that preserve fields of other versions. Conversion would pass over it.
func (r *Rules) CheckPreserved(obj map[string]any) field.ErrorList {
	apiVersion, _ := obj["apiVersion"].(string)
	var errs field.ErrorList
	for key, c := range r.pairs {
		if !strings.HasSuffix(apiVersion, "/"+key.from) {
			continue
		}
		if _, err := c.read(obj); err != nil {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "annotations").Key(apisv1alpha1.PreserveAnnotationPrefix+key.to), field.OmitValueType{}, err.Error()))
		}
	}
	return errs
}

// Restored returns the paths, such as spec.name, of the fields of version to that obj has kept and gets back when it is converted to that.
func (r *Rules) Restored(obj map[string]any, to string) []string {
	apiVersion, _ := obj["apiVersion"].(string)
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || gv.Version == to {
		return nil
	}
	c := r.pairs[pair{gv.Version, to}]
	if c == nil {
		return nil
	}
	var paths []string
	for p := range c.restored(obj) {
		paths = append(paths, p.path.field())
	}
	slices.Sort(paths)
	return paths
}
