package schema

import (
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// maxPaths is how long the paths of all fields of a request may be together. While it decodes, the stock handler makes the path of each
	// field that its schema does not have: below a key of a megabyte, a hundred thousand of them took 100 GB.
	maxPaths = 64 << 20
	// smallBody is the size of a body whose paths cannot be that long.
	smallBody = 8 << 10
)

// checkPaths returns an error if the paths of the fields in a body are too long.
func checkPaths(data []byte, contentType string) error {
	if valid := json.Valid(data); valid && len(data) <= smallBody {
		return nil
	} else if !valid { // YAML can say the same many times
		obj, err := parse(data, contentType)
		if err != nil {
			return unlessUnreadable(data, contentType, err)
		}
		if data, err = json.Marshal(obj); err != nil {
			return err
		}
	}
	total, _ := paths(data)
	if types.PatchType(contentType) == types.JSONPatchType {
		operations, err := jsonpatch.DecodePatch(data)
		if err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		for _, operation := range operations {
			at, _ := operation.Path()
			if value := operation["value"]; value != nil {
				_, fields := paths(*value)
				total += fields * len(at)
			}
		}
	}
	if total > maxPaths {
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the paths of all fields may have at most %d bytes together, and have %d", maxPaths, total))
	}
	return nil
}

// paths returns about how long the paths of all fields in valid JSON are together, and how many fields there are.
func paths(data []byte) (total, fields int) {
	const index = len("[1000]")
	length, key := 0, 0 // of the path to what is being read, and of the last key
	var above []int
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			end := i + 1
			for ; data[end] != '"'; end++ {
				if data[end] == '\\' {
					end++
				}
			}
			size := end - i
			i = end
			for i+1 < len(data) && strings.IndexByte(" \t\r\n", data[i+1]) >= 0 {
				i++
			}
			if i+1 < len(data) && data[i+1] == ':' {
				key = size
				total += length + key
				fields++
			}
		case '{', '[':
			above = append(above, length)
			length += max(key, index)
			key = 0
		case '}', ']':
			length, above = above[len(above)-1], above[:len(above)-1]
			key = 0
		case ',':
			key = 0
		}
	}
	return total, fields
}
