package apiservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// pass is one pass over all APIServices.
type pass struct {
	*Registrar
	existing map[string]*apiregistrationv1.APIService
	anchor   *apiregistrationv1.APIService
	caBundle []byte
	states   map[schema.GroupVersion]State
}

// sync updates the host's APIServices to the wanted state. existing is shared and never changed.
func (r *Registrar) sync(ctx context.Context, existing []*apiregistrationv1.APIService) error {
	p := &pass{Registrar: r, existing: map[string]*apiregistrationv1.APIService{}, states: map[schema.GroupVersion]State{}}
	for _, s := range existing {
		p.existing[s.Name] = s
	}
	if reason := p.findAnchor(); reason != "" {
		r.logged.note(ctx, subjectAnchor, reason)
		r.report(nil, reason)
		return nil
	}
	reason, err := p.prepare(ctx)
	if err != nil {
		r.report(nil, err.Error())
		return err
	}
	if reason != "" {
		r.logged.note(ctx, subjectAnchor, reason)
		r.report(nil, reason)
		return nil
	}
	r.logged.note(ctx, subjectAnchor, "")
	err = p.registerAll(ctx)
	for gv, state := range p.states {
		reason := ""
		if state.Phase == Conflict {
			reason = state.Message
		}
		r.logged.note(ctx, nameOf(gv), reason)
	}
	r.report(p.states, "")
	return err
}

// findAnchor returns the reason why nothing can be registered; empty if there is none.
func (p *pass) findAnchor() (reason string) {
	p.anchor = p.existing[p.config.Anchor]
	switch {
	case p.anchor == nil:
		return fmt.Sprintf("APIService %s does not exist on the host; nothing is registered without it", p.config.Anchor)
	case p.anchor.DeletionTimestamp != nil:
		return fmt.Sprintf("APIService %s is being deleted", p.config.Anchor)
	case p.anchor.Spec.Service == nil:
		return describeForeign(p.anchor)
	}
	return ""
}

// prepare finds the caBundle, and writes it on the anchor. It returns the reason why nothing can be registered.
func (p *pass) prepare(ctx context.Context) (reason string, err error) {
	service := p.anchor.Spec.Service
	switch {
	case p.anchor.Spec.InsecureSkipTLSVerify:
		return "", nil
	case injected(p.anchor):
		if len(p.anchor.Spec.CABundle) == 0 {
			return fmt.Sprintf("APIService %s has no caBundle yet; cert-manager must write it", p.anchor.Name), nil
		}
		p.caBundle = p.anchor.Spec.CABundle
		return "", nil
	}
	// The anchor may belong to another Annex. Our CA would then prevent the host from reaching it.
	host := service.Name + "." + service.Namespace + ".svc"
	if err := p.config.Covers(host); err != nil {
		return fmt.Sprintf("APIService %s leads to %s, for which this server has no certificate (--tls-san): %v", p.anchor.Name, host, err), nil
	}
	p.caBundle, _ = p.config.CABundle()
	if len(p.caBundle) == 0 {
		return "the server has no CA bundle yet", nil
	}
	if bytes.Equal(p.anchor.Spec.CABundle, p.caBundle) {
		return "", nil
	}
	updated := p.anchor.DeepCopy()
	updated.Spec.CABundle = p.caBundle
	updated, err = p.config.Client.ApiregistrationV1().APIServices().Update(ctx, updated, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return "", fmt.Errorf("writing the caBundle of APIService %s: %w", p.anchor.Name, err)
	}
	klog.FromContext(ctx).Info("Wrote the caBundle of an APIService on the host", "apiservice", p.anchor.Name)
	p.anchor = updated
	return "", nil
}

// registerAll registers wanted group versions, and removes those that are no longer wanted.
func (p *pass) registerAll(ctx context.Context) error {
	owners, spoken := p.wanted()
	var errs []error
	for _, gv := range slices.SortedFunc(maps.Keys(owners), compare) {
		if nameOf(gv) == p.anchor.Name {
			p.states[gv] = availability(p.anchor)
			continue
		}
		state, err := p.register(ctx, gv, owners[gv])
		if err != nil {
			state.Message = err.Error()
			errs = append(errs, err)
		}
		p.states[gv] = state
	}
	for _, name := range slices.Sorted(maps.Keys(p.existing)) {
		s := p.existing[name]
		if _, wanted := owners[groupVersionOf(s)]; wanted || name == p.anchor.Name || !ours(s, p.anchor) {
			continue
		}
		errs = append(errs, p.release(ctx, s, spoken))
	}
	return errors.Join(errs...)
}

func compare(a, b schema.GroupVersion) int { return strings.Compare(nameOf(a), nameOf(b)) }

// register creates or updates the APIService of one group version, unless it has another owner.
func (p *pass) register(ctx context.Context, gv schema.GroupVersion, owners []string) (State, error) {
	s := p.existing[nameOf(gv)]
	switch {
	case s == nil:
		created, err := p.config.Client.ApiregistrationV1().APIServices().Create(ctx, like(p.anchor, gv, p.caBundle, owners), metav1.CreateOptions{FieldManager: fieldManager})
		if err != nil {
			return State{}, fmt.Errorf("creating APIService %s: %w", nameOf(gv), err)
		}
		klog.FromContext(ctx).Info("Registered a group version with the host", "apiservice", created.Name)
		return availability(created), nil
	case leftOver(s, p.anchor):
		return State{Message: fmt.Sprintf("APIService %s belongs to an earlier %s and is about to be deleted by the host", s.Name, p.anchor.Name)}, nil
	case !ours(s, p.anchor):
		return State{Phase: Conflict, Message: describeForeign(s)}, nil
	case s.DeletionTimestamp != nil:
		return State{Message: fmt.Sprintf("APIService %s is being deleted", s.Name)}, nil
	}
	return p.update(ctx, s, owners)
}

// update updates one of our APIServices to the settings of the anchor.
func (p *pass) update(ctx context.Context, s *apiregistrationv1.APIService, owners []string) (State, error) {
	updated := s.DeepCopy()
	if align(updated, p.anchor, p.caBundle, owners) {
		var err error
		updated, err = p.config.Client.ApiregistrationV1().APIServices().Update(ctx, updated, metav1.UpdateOptions{FieldManager: fieldManager})
		if err != nil {
			return availability(s), fmt.Errorf("updating APIService %s: %w", s.Name, err)
		}
	}
	return availability(updated), nil
}

// release deletes one of our APIServices that nobody wants. If its owners have not called Want since this process started, release
// keeps and updates it.
func (p *pass) release(ctx context.Context, s *apiregistrationv1.APIService, spoken map[string]bool) error {
	if s.DeletionTimestamp != nil {
		return nil
	}
	owners := slices.DeleteFunc(ownersOn(s), func(owner string) bool { return spoken[owner] })
	if len(owners) > 0 {
		_, err := p.update(ctx, s, owners)
		return err
	}
	uid, version := s.UID, s.ResourceVersion
	err := p.config.Client.ApiregistrationV1().APIServices().Delete(ctx, s.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting APIService %s, which is no longer needed: %w", s.Name, err)
	}
	klog.FromContext(ctx).Info("Removed a group version from the host", "apiservice", s.Name)
	return nil
}
