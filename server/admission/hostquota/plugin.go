package hostquota

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/admission/request"
)

// attempts is how often the status of a quota is written if others write it at the same time.
const attempts = 8

// Config contains the dependencies of the plugin.
type Config struct {
	// Concerns reports whether quotas of the host limit a resource, which is in namespaces of the host.
	Concerns func(schema.GroupResource) bool
	// Hosts reports whether the host shows a cluster as its own.
	Hosts func(logicalcluster.Name) bool
	// Quotas are those of the host; nil if the host cannot be asked. Then nothing is created.
	Quotas corev1client.ResourceQuotasGetter
}

// Plugin applies the quotas of the host. It is safe for concurrent use.
type Plugin struct {
	*admission.Handler
	config Config
}

var _ admission.ValidationInterface = &Plugin{}

// New returns the plugin. The error names the field that is missing.
func New(c Config) (*Plugin, error) {
	if c.Concerns == nil || c.Hosts == nil {
		return nil, errors.New("hostquota: Concerns or Hosts is missing")
	}
	return &Plugin{Handler: admission.NewHandler(admission.Create), config: c}, nil
}

// Validate implements admission.ValidationInterface. It returns Forbidden with both numbers if a quota would be exceeded.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	gr := a.GetResource().GroupResource()
	if a.GetSubresource() != "" || !p.config.Concerns(gr) {
		return nil
	}
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if !p.config.Hosts(cluster) {
		return nil
	}
	if p.config.Quotas == nil {
		return apierrors.NewServiceUnavailable("the host cannot be asked for its quotas: the server has no kubeconfig for the host")
	}
	quotas, err := p.list(ctx, a)
	if err != nil {
		return err
	}
	evaluator := generic.NewObjectCountEvaluator(gr, nil, "")
	for range attempts {
		counted, err := resourcequota.CheckRequest(quotas, a, evaluator, nil)
		if err != nil || a.IsDryRun() {
			return err
		}
		late, err := p.write(ctx, a, quotas, counted)
		if err != nil || len(late) == 0 {
			return err
		}
		// Only those that are not written yet: the object is counted once in each.
		if quotas, err = p.list(ctx, a); err != nil {
			return err
		}
		quotas = slices.DeleteFunc(quotas, func(q corev1.ResourceQuota) bool { return !slices.Contains(late, q.Name) })
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("the quotas of namespace %s are written by others at the same time, try again", a.GetNamespace()))
}

func (p *Plugin) list(ctx context.Context, a admission.Attributes) ([]corev1.ResourceQuota, error) {
	found, err := p.config.Quotas.ResourceQuotas(a.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, p.refuse(ctx, a, "read", err)
	}
	return found.Items, nil
}

// write writes what is used, and returns the names of the quotas that somebody else has written in the meantime.
func (p *Plugin) write(ctx context.Context, a admission.Attributes, before, after []corev1.ResourceQuota) (late []string, err error) {
	for i := range after {
		if quota.Equals(before[i].Status.Used, after[i].Status.Used) {
			continue
		}
		_, err := p.config.Quotas.ResourceQuotas(a.GetNamespace()).UpdateStatus(ctx, &after[i], metav1.UpdateOptions{})
		switch {
		case apierrors.IsConflict(err):
			late = append(late, after[i].Name)
		case err != nil && !apierrors.IsNotFound(err): // a quota that is gone limits nothing
			return nil, p.refuse(ctx, a, "write", err)
		}
	}
	return late, nil
}

// refuse returns the answer for a quota that could not be read or written.
func (p *Plugin) refuse(ctx context.Context, a admission.Attributes, verb string, err error) error {
	if apierrors.IsForbidden(err) {
		return admission.NewForbidden(a, fmt.Errorf("the server may not %s the quotas of namespace %s of the host: an administrator of the host must allow it", verb, a.GetNamespace()))
	}
	klog.FromContext(ctx).Error(err, "The quotas of a namespace of the host are out of reach", "resource", a.GetResource().GroupResource(), "namespace", a.GetNamespace())
	return apierrors.NewServiceUnavailable(fmt.Sprintf("the quotas of namespace %s of the host are out of reach right now, try again", a.GetNamespace()))
}
