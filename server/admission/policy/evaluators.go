package policy

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/lru"
)

// What a compiled policy takes in bytes: the environments of CEL that know its variables, and each expression; see
// TestEvaluators_KnowTheirSize.
const (
	validatorBytes  = 256 << 10
	mutatorBytes    = 640 << 10
	expressionBytes = 16 << 10
	// parsedBytes is for each byte of a policy: long expressions have many nodes.
	parsedBytes = 64
)

// evaluators are compiled policies by content. Equal policies of all workspaces share one; the least recently used go first.
type evaluators struct {
	validators *lru.Cache[content, validating.Validator]
	mutators   *lru.Cache[content, mutating.PolicyEvaluator]
}

func newEvaluators(capacity int64) *evaluators {
	return &evaluators{
		validators: lru.New[content, validating.Validator](capacity/2, nil),
		mutators:   lru.New[content, mutating.PolicyEvaluator](capacity/2, nil),
	}
}

// forget drops what was compiled for a cluster.
func (e *evaluators) forget(cluster logicalcluster.Name) {
	e.validators.Drop(cluster.String())
	e.mutators.Drop(cluster.String())
}

// validator is a validating policy that is compiled when it has to decide.
type validator struct {
	*evaluators
	cluster logicalcluster.Name
	policy  *admissionregistrationv1.ValidatingAdmissionPolicy
	content content
}

var _ validating.Validator = &validator{}

func (v *validator) compiled() validating.Validator {
	known, ok := v.validators.Get(v.content)
	if !ok {
		known = compileValidator(v.policy)
		spec := &v.policy.Spec
		expressions := len(spec.Variables) + len(spec.MatchConditions) + 2*len(spec.Validations) + len(spec.AuditAnnotations)
		v.validators.Put(v.content, known, int64(validatorBytes+expressionBytes*expressions+parsedBytes*v.policy.Size()), v.cluster.String())
	}
	return known
}

// Validate implements validating.Validator.
func (v *validator) Validate(ctx context.Context, resource schema.GroupVersionResource, attr *admission.VersionedAttributes, params runtime.Object,
	namespace *corev1.Namespace, budget int64, authz authorizer.UnconditionalAuthorizer) validating.ValidateResult {
	return v.compiled().Validate(ctx, resource, attr, params, namespace, budget, authz)
}

// CompileError implements validating.Validator.
func (v *validator) CompileError() error { return v.compiled().CompileError() }

func (e *evaluators) mutator(cluster logicalcluster.Name, policy *admissionregistrationv1.MutatingAdmissionPolicy, of content) mutating.PolicyEvaluator {
	known, ok := e.mutators.Get(of)
	if !ok {
		known = compileMutator(policy)
		expressions := len(policy.Spec.Variables) + len(policy.Spec.MatchConditions) + len(policy.Spec.Mutations)
		e.mutators.Put(of, known, int64(mutatorBytes+expressionBytes*expressions+parsedBytes*policy.Size()), cluster.String())
	}
	return known
}

func variables(all []admissionregistrationv1.Variable) []cel.NamedExpressionAccessor {
	var named []cel.NamedExpressionAccessor
	for _, v := range all {
		named = append(named, &validating.Variable{Name: v.Name, Expression: v.Expression})
	}
	return named
}

// matcher returns what decides by match conditions; nil if there are none.
func matcher(compiler *cel.CompositedCompiler, conditions []admissionregistrationv1.MatchCondition, known cel.OptionalVariableDeclarations,
	failure *admissionregistrationv1.FailurePolicyType, policy string) matchconditions.Matcher {
	if len(conditions) == 0 {
		return nil
	}
	var all []cel.ExpressionAccessor
	for i := range conditions {
		all = append(all, (*matchconditions.MatchCondition)(&conditions[i]))
	}
	return matchconditions.NewMatcher(compiler.CompileCondition(all, known, environment.StoredExpressions), failure, "policy", "validate", policy)
}

func compileValidator(policy *admissionregistrationv1.ValidatingAdmissionPolicy) validating.Validator {
	spec := &policy.Spec
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return validating.NewValidator(nil, nil, nil, nil, spec.FailurePolicy, err)
	}
	known := cel.OptionalVariableDeclarations{HasParams: spec.ParamKind != nil, HasAuthorizer: true}
	inMessages := cel.OptionalVariableDeclarations{HasParams: spec.ParamKind != nil}
	compiler.CompileAndStoreVariables(variables(spec.Variables), known, environment.StoredExpressions)
	// The evaluator of messages finds that of a validation at the same index, nil if it has none.
	validations, messages := make([]cel.ExpressionAccessor, len(spec.Validations)), make([]cel.ExpressionAccessor, len(spec.Validations))
	for i, v := range spec.Validations {
		validations[i] = &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason}
		if v.MessageExpression != "" {
			messages[i] = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
		}
	}
	var annotations []cel.ExpressionAccessor
	for _, a := range spec.AuditAnnotations {
		annotations = append(annotations, &validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: a.ValueExpression})
	}
	return validating.NewValidator(
		compiler.CompileCondition(validations, known, environment.StoredExpressions),
		matcher(compiler, spec.MatchConditions, known, spec.FailurePolicy, policy.Name),
		compiler.CompileCondition(annotations, known, environment.StoredExpressions),
		compiler.CompileCondition(messages, inMessages, environment.StoredExpressions),
		spec.FailurePolicy, nil)
}

func compileMutator(policy *admissionregistrationv1.MutatingAdmissionPolicy) mutating.PolicyEvaluator {
	spec := &policy.Spec
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return mutating.PolicyEvaluator{Error: err}
	}
	known := cel.OptionalVariableDeclarations{HasParams: spec.ParamKind != nil, HasAuthorizer: true}
	compiler.CompileAndStoreVariables(variables(spec.Variables), known, environment.StoredExpressions)
	e := mutating.PolicyEvaluator{CompositedCompiler: compiler, Matcher: matcher(compiler, spec.MatchConditions, known, spec.FailurePolicy, policy.Name)}
	patches := known
	patches.HasPatchTypes = true
	for _, m := range spec.Mutations {
		switch {
		case m.PatchType == admissionregistrationv1.PatchTypeJSONPatch && m.JSONPatch != nil:
			expression := &patch.JSONPatchCondition{Expression: m.JSONPatch.Expression}
			e.Mutators = append(e.Mutators, patch.NewJSONPatcher(compiler.CompileMutatingEvaluator(expression, patches, environment.StoredExpressions)))
		case m.PatchType == admissionregistrationv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil:
			expression := &patch.ApplyConfigurationCondition{Expression: m.ApplyConfiguration.Expression}
			e.Mutators = append(e.Mutators, patch.NewApplyConfigurationPatcher(compiler.CompileMutatingEvaluator(expression, patches, environment.StoredExpressions)))
		}
	}
	return e
}
