package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/annex-dev/annex/cmd/annex/sync/projection"
	"github.com/annex-dev/annex/cmd/annex/sync/publish"
)

var definitionKind = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")

const (
	// soon is when the agent looks again for what the server is about to do.
	soon = 500 * time.Millisecond
	// checkAgain is when the provider's workspace is looked at again, which is not watched.
	checkAgain = time.Minute
)

// followDefinitions adds the controller of CustomResourceDefinitions.
func (a *Agent) followDefinitions() error {
	c, err := controller.NewTyped("definitions", a.manager, controller.TypedOptions[reconcile.Request]{
		Reconciler: reconcile.Func(a.reconcileDefinition), SkipNameValidation: ptr.To(true),
	})
	if err != nil {
		return fmt.Errorf("building the controller of definitions: %w", err)
	}
	requests := handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, definition *metav1.PartialObjectMetadata) []reconcile.Request {
		if a.indexOf(definition.Name) < 0 {
			return nil
		}
		return []reconcile.Request{{NamespacedName: ctrlclient.ObjectKeyFromObject(definition)}}
	})
	if err := c.Watch(source.TypedKind(a.service.GetCache(), metadataOf(definitionKind), requests)); err != nil {
		return fmt.Errorf("watching definitions: %w", err)
	}
	return nil
}

// indexOf returns the index of the resource of a definition in the configuration; -1 if it has none.
func (a *Agent) indexOf(definition string) int {
	for i := range a.config.Resources {
		if r := &a.config.Resources[i]; r.Resource+"."+r.Group == definition {
			return i
		}
	}
	return -1
}

// reconcileDefinition publishes a definition as it is now, and follows its objects from the first time on.
func (a *Agent) reconcileDefinition(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	log := klog.FromContext(ctx).WithValues("definition", request.Name)
	i := a.indexOf(request.Name)
	if i < 0 {
		return reconcile.Result{}, nil
	}
	source := &apiextensionsv1.CustomResourceDefinition{}
	switch err := a.service.GetAPIReader().Get(ctx, ctrlclient.ObjectKey{Name: request.Name}, source); {
	case apierrors.IsNotFound(err):
		log.Info("The CustomResourceDefinition does not exist in the service cluster; what is published stays")
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading CustomResourceDefinition %q: %w", request.Name, err)
	}
	offered, plan, err := projection.Definition(source, &a.config.Resources[i])
	if err != nil {
		log.Error(err, "The CustomResourceDefinition is not published")
		return reconcile.Result{RequeueAfter: checkAgain}, nil
	}
	if known := a.syncer(i); known != nil && known.converter.Plan != plan {
		// Caches and controllers are for one kind in one version.
		a.end(fmt.Errorf("CustomResourceDefinition %q is now synchronized as %+v: start again to follow", request.Name, plan))
		return reconcile.Result{}, nil
	}
	done, err := a.publisher.Publish(ctx, offered)
	switch {
	case errors.Is(err, publish.ErrRefused):
		log.Error(err, "The CustomResourceDefinition is not published")
		return reconcile.Result{RequeueAfter: checkAgain}, nil
	case err != nil:
		return reconcile.Result{}, err
	case !done:
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	if a.syncer(i) == nil {
		if err := a.follow(ctx, i, plan); err != nil {
			return reconcile.Result{}, err
		}
		log.Info("Published", "resource", plan.Resource, "version", plan.Consumer.Version)
	}
	return reconcile.Result{RequeueAfter: checkAgain}, nil
}

func (a *Agent) syncer(i int) *syncer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.syncers[i]
}
