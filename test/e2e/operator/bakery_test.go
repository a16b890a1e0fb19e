package operator

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	finalizer  = "shop.example.com/oven"
	byFlour    = "spec.flour"
	fieldOwner = "bakery-operator"
	bakedBy    = "shop.example.com/bakery"
)

// baker reconciles bakeries.
type baker struct {
	client   client.Client
	scheme   *runtime.Scheme
	recorder events.EventRecorder
	name     string // of this process, on each loaf
}

// setup adds the controller to a manager.
func (b *baker) setup(ctx context.Context, mgr manager.Manager) error {
	b.client, b.scheme, b.recorder = mgr.GetClient(), mgr.GetScheme(), mgr.GetEventRecorder(fieldOwner)
	if err := mgr.GetFieldIndexer().IndexField(ctx, &Bakery{}, byFlour, func(obj client.Object) []string {
		bakery, ok := obj.(*Bakery)
		if !ok || bakery.Spec.Flour == "" {
			return nil
		}
		return []string{bakery.Spec.Flour}
	}); err != nil {
		return err
	}
	skip := true // both managers of a test are in one process
	return builder.ControllerManagedBy(mgr).
		For(&Bakery{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.ConfigMap{}).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(b.usersOf)).
		WithOptions(controller.Options{SkipNameValidation: &skip, MaxConcurrentReconciles: 4}).
		Complete(b)
}

// usersOf returns the bakeries that use a ConfigMap as flour, from the index.
func (b *baker) usersOf(ctx context.Context, obj client.Object) []reconcile.Request {
	var list BakeryList
	if err := b.client.List(ctx, &list, client.InNamespace(obj.GetNamespace()), client.MatchingFields{byFlour: obj.GetName()}); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (b *baker) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	bakery := &Bakery{}
	if err := b.client.Get(ctx, request.NamespacedName, bakery); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !bakery.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, b.close(ctx, bakery)
	}
	if controllerutil.AddFinalizer(bakery, finalizer) {
		if err := b.client.Update(ctx, bakery); err != nil {
			return reconcile.Result{}, err
		}
	}
	flour := &corev1.ConfigMap{}
	if err := b.client.Get(ctx, types.NamespacedName{Namespace: bakery.Namespace, Name: bakery.Spec.Flour}, flour); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	loaves := 0
	if bakery.Spec.Loaves != nil {
		loaves = *bakery.Spec.Loaves
	}
	for i := range loaves {
		if err := b.bake(ctx, bakery, i, flour.Data["kind"]); err != nil {
			return reconcile.Result{}, err
		}
	}
	var baked corev1.ConfigMapList
	if err := b.client.List(ctx, &baked, client.InNamespace(bakery.Namespace), client.MatchingLabels{bakedBy: bakery.Name}); err != nil {
		return reconcile.Result{}, err
	}
	wanted := map[string]bool{}
	for i := range loaves {
		wanted[loafName(bakery, i)] = true
	}
	for i := range baked.Items {
		if loaf := &baked.Items[i]; !wanted[loaf.Name] && loaf.DeletionTimestamp.IsZero() {
			if err := b.client.Delete(ctx, loaf, client.Preconditions{UID: &loaf.UID}); client.IgnoreNotFound(err) != nil {
				return reconcile.Result{}, err
			}
		}
	}
	before := bakery.DeepCopyObject().(*Bakery)
	bakery.Status.Loaves, bakery.Status.FlourVersion = loaves, flour.Data["kind"]
	if meta.SetStatusCondition(&bakery.Status.Conditions, metav1.Condition{
		Type: "Baked", Status: metav1.ConditionTrue, Reason: "Baked", Message: fmt.Sprintf("%d loaves by %s", loaves, b.name), ObservedGeneration: bakery.Generation,
	}) {
		b.recorder.Eventf(bakery, nil, corev1.EventTypeNormal, "Baked", "Bake", "%d loaves", loaves)
	}
	return reconcile.Result{}, client.IgnoreNotFound(b.client.Status().Patch(ctx, bakery, client.MergeFrom(before)))
}

func loafName(bakery *Bakery, i int) string { return fmt.Sprintf("%s-loaf-%d", bakery.Name, i) }

// bake applies a loaf, whatever it is.
func (b *baker) bake(ctx context.Context, bakery *Bakery, i int, flour string) error {
	loaf := corev1apply.ConfigMap(loafName(bakery, i), bakery.Namespace).
		WithLabels(map[string]string{bakedBy: bakery.Name}).
		WithData(map[string]string{"flour": flour}).
		WithOwnerReferences(metav1apply.OwnerReference().WithAPIVersion(groupVersion.String()).WithKind("Bakery").
			WithName(bakery.Name).WithUID(bakery.UID).WithController(true).WithBlockOwnerDeletion(true))
	return b.client.Apply(ctx, loaf, client.FieldOwner(fieldOwner), client.ForceOwnership)
}

// close writes down that a bakery has closed, which is work that only a finalizer makes sure of, and lets it go.
func (b *baker) close(ctx context.Context, bakery *Bakery) error {
	note := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: bakery.Namespace, Name: bakery.Name + "-closed"}}
	if err := b.client.Create(ctx, note); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if !controllerutil.RemoveFinalizer(bakery, finalizer) {
		return nil
	}
	return client.IgnoreNotFound(b.client.Update(ctx, bakery))
}

// hooks are the operator's webhooks.
type hooks struct{}

// setupWebhooks adds them to a manager.
func setupWebhooks(_ context.Context, mgr manager.Manager) error {
	return builder.WebhookManagedBy(mgr, &Bakery{}).WithDefaulter(hooks{}).WithValidator(hooks{}).Complete()
}

// Default implements admission.Defaulter.
func (hooks) Default(_ context.Context, bakery *Bakery) error {
	if bakery.Spec.Loaves == nil {
		loaves := 3
		bakery.Spec.Loaves = &loaves
	}
	return nil
}

func validate(bakery *Bakery) (admission.Warnings, error) {
	if *bakery.Spec.Loaves > 20 {
		return nil, errors.New("the oven is too small")
	}
	if bakery.Spec.Flour == "" {
		return admission.Warnings{"a bakery without flour bakes air"}, nil
	}
	return nil, nil
}

// ValidateCreate implements admission.Validator.
func (hooks) ValidateCreate(_ context.Context, bakery *Bakery) (admission.Warnings, error) {
	return validate(bakery)
}

// ValidateUpdate implements admission.Validator.
func (hooks) ValidateUpdate(_ context.Context, old, bakery *Bakery) (admission.Warnings, error) {
	if old.Spec.Flour != "" && bakery.Spec.Flour == "" {
		return nil, errors.New("flour cannot be taken away")
	}
	return validate(bakery)
}

// ValidateDelete implements admission.Validator.
func (hooks) ValidateDelete(_ context.Context, bakery *Bakery) (admission.Warnings, error) {
	if bakery.Labels["protected"] == "true" {
		return nil, errors.New("the bakery is protected")
	}
	return nil, nil
}
