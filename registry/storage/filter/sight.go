package filter

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/head"
)

// Sight is what one request may see of the objects of one resource.
type Sight struct {
	filter   Filter // nil for a request that sees everything
	resource schema.GroupResource
	bucket   string
}

// Of returns the sight of a request for resource, whose objects are in bucket if it is a custom one.
func Of(ctx context.Context, resource schema.GroupResource, bucket string) Sight {
	filter, _ := ctx.Value(contextKey{}).(Filter)
	return Sight{filter: filter, resource: resource, bucket: bucket}
}

// Full reports whether the request sees everything.
func (s Sight) Full() bool { return s.filter == nil }

// Fixed reports whether nothing has to be remembered to know what comes into sight and leaves it: an object is in sight for its whole life
// or never, or the watch cache finds out.
func (s Sight) Fixed() bool {
	switch s.filter.(type) {
	case nil, Follower, Selecting:
		return true
	}
	return false
}

// Narrow returns p with what the filter selects by labels.
func (s Sight) Narrow(p apistorage.SelectionPredicate) apistorage.SelectionPredicate {
	selecting, ok := s.filter.(Selecting)
	if !ok {
		return p
	}
	requirements, selectable := selecting.Selector().Requirements()
	switch {
	case !selectable:
		p.Label = labels.Nothing()
	case p.Label == nil:
		p.Label = selecting.Selector()
	default:
		p.Label = p.Label.Add(requirements...)
	}
	return p
}

// Shows reports whether the object with this head is in sight.
func (s Sight) Shows(h head.Head) bool {
	return s.filter == nil || (known(h) && s.filter.Shows(h))
}

// ShowsObject reports the same of an object that says which cluster it is in.
func (s Sight) ShowsObject(obj runtime.Object) bool {
	if s.filter == nil {
		return true
	}
	accessor, err := meta.Accessor(obj)
	return err == nil && s.Shows(head.Of(s.resource, s.bucket, accessor))
}

// Follows reports whether the object of an event is in sight; deleted says that it is gone. An error ends the watch.
func (s Sight) Follows(h head.Head, deleted bool) (bool, error) {
	if follower, ok := s.filter.(Follower); ok {
		return follower.Follows(h, deleted)
	}
	return s.Shows(h), nil
}

// Turning returns the filter if its answers change by themselves; nil if they do not.
func (s Sight) Turning() Turning {
	turning, _ := s.filter.(Turning)
	return turning
}

func known(h head.Head) bool { return !h.Damaged && h.Cluster != "" && h.Name != "" }

// Got completes a read of key into out, which returned err: what is not in sight was not found.
func (s Sight) Got(key string, opts apistorage.GetOptions, out runtime.Object, err error) error {
	if s.filter == nil {
		return err
	}
	if err = unread(key, err); err == nil {
		if accessor, accessErr := meta.Accessor(out); accessErr == nil && accessor.GetResourceVersion() == "" {
			return nil // not found, and that is to be ignored
		}
		if s.ShowsObject(out) {
			return nil
		}
		err = apistorage.NewKeyNotFoundError(key, 0)
	}
	if zeroErr := runtime.SetZeroValue(out); zeroErr != nil {
		return zeroErr
	}
	if opts.IgnoreNotFound && apistorage.IsNotFound(err) {
		return nil
	}
	return err
}

// Makes returns nil when obj is in sight, so that a request may store it, or Forbidden.
func (s Sight) Makes(obj runtime.Object) error {
	if s.ShowsObject(obj) {
		return nil
	}
	name := ""
	if accessor, err := meta.Accessor(obj); err == nil {
		name = accessor.GetName()
	}
	return apierrors.NewForbidden(s.resource, name, errors.New("the request is limited to some objects, and the result would not be one of them"))
}

// Update calls update with preconditions and a function such that an object that is not in sight when it would be written
// is not found, whatever the preconditions say, and that try can make nothing that is not in sight.
func (s Sight) Update(key string, preconditions *apistorage.Preconditions, try apistorage.UpdateFunc,
	update func(*apistorage.Preconditions, apistorage.UpdateFunc) error) error {
	if s.filter == nil {
		return update(preconditions, try)
	}
	read := false
	err := update(nil, func(input runtime.Object, res apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		read = true
		if res.ResourceVersion != 0 && !s.ShowsObject(input) { // at zero there is no object yet
			return nil, nil, apistorage.NewKeyNotFoundError(key, 0)
		}
		if err := preconditions.Check(key, input); err != nil {
			return nil, nil, err
		}
		output, ttl, err := try(input, res)
		if err != nil {
			return output, ttl, err
		}
		return output, ttl, s.Makes(output)
	})
	if !read {
		err = unread(key, err)
	}
	return err
}

// Delete does the same for a deletion.
func (s Sight) Delete(key string, preconditions *apistorage.Preconditions, validate apistorage.ValidateObjectFunc,
	remove func(*apistorage.Preconditions, apistorage.ValidateObjectFunc) error) error {
	if s.filter == nil {
		return remove(preconditions, validate)
	}
	read := false
	err := remove(nil, func(ctx context.Context, obj runtime.Object) error {
		read = true
		if !s.ShowsObject(obj) {
			return apistorage.NewKeyNotFoundError(key, 0)
		}
		if err := preconditions.Check(key, obj); err != nil {
			return err
		}
		return validate(ctx, obj)
	})
	if !read {
		err = unread(key, err)
	}
	return err
}

// unread turns an error that tells of an object whose head could not be read into NotFound. Errors that tell of the request
// or of etcd stay as they are.
func unread(key string, err error) error {
	var status apierrors.APIStatus
	var stored *apistorage.StorageError
	switch {
	case err == nil, errors.As(err, &status):
		return err
	case errors.As(err, &stored) && stored.Code != apistorage.ErrCodeCorruptObj:
		return err
	}
	return apistorage.NewKeyNotFoundError(key, 0)
}
