package answer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// sayFull is for the one line in the log that says what to do; each write would repeat it.
var sayFull = rate.Sometimes{Interval: time.Minute}

// Error turns an error of etcd's client into an API status, as a stock server would otherwise answer 500 with the
// client's own words. Every other error is returned as it is: stores compare sentinels of their own by identity.
func Error(ctx context.Context, err error, write bool) error {
	if err == nil {
		return nil
	}
	code, isEtcd := codes.Unknown, false
	var etcdErr rpctypes.EtcdError
	if errors.As(err, &etcdErr) {
		code, isEtcd = etcdErr.Code(), true
	} else if s, ok := status.FromError(err); ok {
		code, isEtcd = s.Code(), true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), isEtcd && code == codes.DeadlineExceeded:
		return apierrors.NewTimeoutError("the request did not finish in time", 1)
	case errors.Is(err, context.Canceled), isEtcd && code == codes.Canceled:
		return apierrors.NewTimeoutError("the request was canceled", 1)
	case !isEtcd:
		return err
	case errors.Is(err, rpctypes.ErrRequestTooLarge),
		code == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max"):
		return apierrors.NewRequestEntityTooLargeError("the object is larger than the storage allows")
	}
	if errors.Is(err, rpctypes.ErrNoSpace) {
		sayFull.Do(func() {
			klog.FromContext(ctx).Error(err, "etcd is full and takes no more writes: delete objects. The embedded etcd takes writes again soon after; defragment an external one or raise its quota, and then disarm its alarm")
		})
		full := apierrors.NewServiceUnavailable("the storage is full: only reads and deletions work")
		full.ErrStatus.Code = http.StatusServiceUnavailable
		return full
	}
	klog.FromContext(ctx).Error(err, "Storage failed", "code", code.String())
	unavailable := apierrors.NewServiceUnavailable("the storage is not available")
	if !write {
		// A write may have happened: only reads are told to come again by themselves.
		unavailable.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	}
	unavailable.ErrStatus.Code = http.StatusServiceUnavailable
	return unavailable
}
