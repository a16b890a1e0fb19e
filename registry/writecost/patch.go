package writecost

import (
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// maxCost is how many bytes of the object all operations on lists may pass together, about a second.
	maxCost = 512 << 20
	// cheap is so few operations that no object is too large.
	cheap = 100
	// maxOperations is how many operations the stock handlers take.
	maxOperations = 10_000
)

// measurePatch takes note of what a JSON patch says.
func (w *write) measurePatch(data []byte) error {
	operations, err := jsonpatch.DecodePatch(data)
	if err != nil || len(operations) > maxOperations {
		return nil //nolint:nilerr // refused by the stock handlers
	}
	w.operations = listOperations(operations)
	w.measured.add(measure{members: len(operations), squares: len(operations) * len(operations)})
	for _, operation := range operations {
		value, path := json.RawMessage("null"), ""
		if v := operation["value"]; v != nil {
			value = *v
		}
		path, _ = operation.Path()
		w.measured.add(measureJSON(value, w.lists || strings.Contains(path, "/metadata/")))
		kind := operation.Kind()
		below, ok := belowManagers(path)
		if !ok || kind == "test" || kind == "remove" {
			continue
		}
		if kind == "copy" || kind == "move" {
			return invalid(w.info, field.ErrorList{field.Forbidden(managersPath, fmt.Sprintf("a JSON patch may not %s anything to %s", kind, path))})
		}
		w.managers.add(managersOf(fmt.Appendf(nil, below, value)))
	}
	if err := w.managers.check(w); err != nil {
		return err
	}
	return w.measured.check(w)
}

// belowManagers reports whether an operation at path can write managers. If so, it returns a format that makes an object of a value there.
// The stock handlers ignore what is before the first slash.
func belowManagers(path string) (format string, ok bool) {
	parts := strings.Split(path, "/")
	switch {
	case len(parts) == 1:
		return "%s", true
	case parts[1] != "metadata":
		return "", false
	case len(parts) == 2:
		return `{"metadata":%s}`, true
	case parts[2] != "managedFields":
		return "", false
	case len(parts) == 3:
		return `{"metadata":{"managedFields":%s}}`, true
	case len(parts) == 4:
		return `{"metadata":{"managedFields":[%s]}}`, true
	}
	return `{"metadata":{"managedFields":[{}]}}%.0s`, true // a part of one that is there
}

// checkOperations returns an API status if it would take too long to apply the JSON patch to obj.
func (w *write) checkOperations(obj runtime.Object) error {
	if w.operations <= cheap {
		return nil
	}
	stored, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("measuring an object: %w", err)
	}
	size := len(stored) + w.size
	if w.operations <= maxCost/size {
		return nil
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"the patch takes too long to apply: it inserts or removes items of lists %d times, and an object of %d bytes allows for %d times; replace the list, or append to it",
		w.operations, size, maxCost/size))
}

// listOperations returns how many operations of a patch insert or remove an item of a list, or could.
func listOperations(operations jsonpatch.Patch) int {
	n := 0
	for _, operation := range operations {
		path, _ := operation.Path()
		from, _ := operation.From()
		switch operation.Kind() {
		case "add", "remove", "copy":
			n += item(path)
		case "move":
			n += item(path) + item(from)
		}
	}
	return n
}

// item returns 1 if path may be that of an item of a list, except its end.
func item(path string) int {
	last := path[strings.LastIndexByte(path, '/')+1:]
	if strings.Trim(last, "+-0123456789") != "" || last == "" || last == "-" {
		return 0
	}
	return 1
}
