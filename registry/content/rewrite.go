package content

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Rewrite implements client.Content. Admission is not asked: its plugins judge what somebody wants of an object, and nobody wants anything. Nor can
// they refuse what is there. The limits of the workspace count, because the object may be larger in the other version.
func (c *Content) Rewrite(ctx context.Context, h head.Head, version string) error {
	resource, err := c.resource(ctx, kind{cluster: h.Cluster, resource: h.Resource, bucket: h.Bucket, namespaced: h.Namespace != ""})
	if err != nil {
		return err
	}
	if resource == nil || resource.Typed || resource.Virtual {
		return apierrors.NewNotFound(h.Resource, h.Name)
	}
	if resource.Namespaced != (h.Namespace != "") {
		return &client.NotRewrittenError{Reason: "is stored under another scope"}
	}
	return rewritten(ctx, c.Schemas.Rewrite(within(ctx, h), resource, h.Cluster, h.Name, h.UID, version), h, version)
}

// Retire implements client.Content.
func (c *Content) Retire(ctx context.Context, r client.Retirement) error {
	return c.Backend.Retire(ctx, r)
}

// rewritten returns the error of Rewrite for one of the storage. Errors of conversion may quote values.
func rewritten(ctx context.Context, err error, h head.Head, version string) error {
	switch {
	case err == nil:
		return nil
	case apistorage.IsNotFound(err), apistorage.IsInvalidObj(err): // gone, or another one of that name
		return apierrors.NewNotFound(h.Resource, h.Name)
	case ctx.Err() != nil:
		return err
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		switch s := status.Status(); {
		case s.Code == http.StatusServiceUnavailable, s.Code == http.StatusGatewayTimeout, s.Code == http.StatusTooManyRequests, s.Reason == metav1.StatusReasonConflict:
			return err
		case s.Reason == metav1.StatusReasonRequestEntityTooLarge:
			return &client.NotRewrittenError{Reason: fmt.Sprintf("is too large in version %s", version)}
		case s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == limits.ExceededCause }):
			return &client.NotRewrittenError{Reason: fmt.Sprintf("is larger in version %s than the limit of the workspace allows", version)}
		}
	}
	var fault *field.Error
	if errors.As(err, &fault) {
		return &client.NotRewrittenError{Reason: fmt.Sprintf("cannot be converted to version %s: the rules of the APIConversion cannot convert %s", version, fault.Field)}
	}
	return &client.NotRewrittenError{Reason: fmt.Sprintf("cannot be read, or not be converted to version %s", version)}
}
