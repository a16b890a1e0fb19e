package authorization

import (
	"errors"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Reviews can name selectors of a list or a watch. RBAC does not look at them, so all they change is that a review says which it could not
// read. What can be read of a selector is returned with the error: a right to more is a right to that.

// ignored returns what a review says of a selector that could not be read; nothing if it could.
func ignored(selector string, read int, err error) []string {
	switch {
	case err == nil:
		return nil
	case read > 0:
		return []string{fmt.Sprintf("spec.resourceAttributes.%s partially ignored due to parse error", selector)}
	}
	return []string{fmt.Sprintf("spec.resourceAttributes.%s ignored due to parse error", selector)}
}

func fieldSelector(attributes *authorizationv1.FieldSelectorAttributes) (fields.Requirements, error) {
	if attributes == nil {
		return nil, nil
	}
	if attributes.RawSelector != "" {
		parsed, err := fields.ParseSelector(attributes.RawSelector)
		if err != nil {
			return nil, err
		}
		return parsed.Requirements(), nil
	}
	var read fields.Requirements
	var errs []error
	for _, r := range attributes.Requirements {
		operator, known := map[metav1.FieldSelectorOperator]selection.Operator{
			metav1.FieldSelectorOpIn: selection.Equals, metav1.FieldSelectorOpNotIn: selection.NotEquals,
		}[r.Operator]
		if !known || len(r.Values) != 1 {
			errs = append(errs, fmt.Errorf("operator %q with %d values is not supported", r.Operator, len(r.Values)))
			continue
		}
		read = append(read, fields.Requirement{Field: r.Key, Operator: operator, Value: r.Values[0]})
	}
	return read, errors.Join(errs...)
}

func labelSelector(attributes *authorizationv1.LabelSelectorAttributes) (labels.Requirements, error) {
	if attributes == nil {
		return nil, nil
	}
	if attributes.RawSelector != "" {
		parsed, err := labels.Parse(attributes.RawSelector)
		if err != nil {
			return nil, err
		}
		read, _ := parsed.Requirements()
		return read, nil
	}
	var read labels.Requirements
	var errs []error
	for _, r := range attributes.Requirements {
		operator, known := map[metav1.LabelSelectorOperator]selection.Operator{
			metav1.LabelSelectorOpIn: selection.In, metav1.LabelSelectorOpNotIn: selection.NotIn,
			metav1.LabelSelectorOpExists: selection.Exists, metav1.LabelSelectorOpDoesNotExist: selection.DoesNotExist,
		}[r.Operator]
		if !known {
			errs = append(errs, fmt.Errorf("operator %q is not supported", r.Operator))
			continue
		}
		requirement, err := labels.NewRequirement(r.Key, operator, r.Values)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		read = append(read, *requirement)
	}
	return read, errors.Join(errs...)
}
