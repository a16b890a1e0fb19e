package custom

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/registry/storage/answer"
)

// holding counts what the answer to a list holds. An object may be much larger than its stored bytes, because the defaults of its schema may
// have grown since it was stored.
type holding struct {
	ctx     context.Context
	pages   bool // the client reads page by page
	objects int
}

// add takes memory for an object of so many stored bytes. It returns [answer.ErrFull] if the page must end before this object, and the API
// status for a list that cannot be answered.
func (h *holding) add(obj runtime.Object, stored int) error {
	bytes := heldBytes(obj, stored)
	if room.IsWhole(h.ctx) {
		bytes += int64(room.WholeFactor * stored)
	}
	err := room.Take(h.ctx, bytes)
	if err == nil {
		h.objects++
		return nil
	}
	var tooLarge *room.TooLargeError
	switch {
	case h.pages && h.objects > 0:
		return answer.ErrFull
	case !errors.As(err, &tooLarge):
		return err
	case h.pages: // one request for several pages, such as a deletion of many objects, which goes on where it ended
		return apierrors.NewTooManyRequests(tooLarge.Error()+", please try again to continue", 1)
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusRequestEntityTooLarge,
		Reason:  metav1.StatusReasonRequestEntityTooLarge,
		Message: fmt.Sprintf("the list is too large: %v. Read it in pages, with limit and continue", tooLarge),
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{
			Type: metav1.CauseTypeFieldValueRequired, Field: "limit", Message: tooLarge.Error(),
		}}},
	}}
}

// What values take in memory besides their bytes, rather too much than too little: see TestHeldBytes_AreNotLessThanAnObjectTakes.
const (
	valueBytes = 32 // in a list, which may have room for twice as many
	mapBytes   = 48
	smallMap   = 272 // for up to eight entries
	entryBytes = 80  // of a larger map
	textBytes  = 24  // of a text or a number
)

// heldBytes returns about how many bytes an object with so many stored bytes takes.
func heldBytes(obj runtime.Object, stored int) int64 {
	switch obj := obj.(type) {
	case *unstructured.Unstructured:
		return valueSize(obj.Object)
	case *metav1.PartialObjectMetadata: // of a larger object
		return int64(decodedFactor * obj.Size())
	}
	return decodedBytes(obj, stored)
}

func valueSize(value any) int64 {
	switch value := value.(type) {
	case string:
		return int64(textBytes + len(value))
	case map[string]any:
		size := int64(mapBytes)
		switch {
		case len(value) > 8:
			size += int64(entryBytes * len(value))
		case len(value) > 0:
			size += smallMap
		}
		for key, v := range value {
			size += int64(len(key)) + valueSize(v)
		}
		return size
	case []any:
		size := int64(textBytes + valueBytes*len(value))
		for _, v := range value {
			size += valueSize(v)
		}
		return size
	}
	return textBytes
}
