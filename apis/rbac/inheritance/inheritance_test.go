package inheritance

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAnnotation_MeansNothingElse(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct{ gives, refuses, valid bool }{
		"true": {true, false, true}, "false": {false, true, true}, "": {}, "True": {}, "yes": {}, "none": {},
	} {
		meta := &metav1.ObjectMeta{Annotations: map[string]string{AnnotationKey: value}}
		if Gives(meta) != want.gives || Refuses(meta) != want.refuses {
			t.Errorf("%q gives %v and refuses %v", value, Gives(meta), Refuses(meta))
		}
		if errs := Validate(meta.Annotations, true); (len(errs) == 0) != want.valid {
			t.Errorf("%q: %v", value, errs)
		}
		if errs := Validate(meta.Annotations, false); len(errs) != 1 || errs[0].Field != "metadata.annotations["+AnnotationKey+"]" {
			t.Errorf("%q where it means nothing: %v", value, errs)
		}
	}
	if errs := Validate(nil, false); len(errs) > 0 {
		t.Errorf("without it: %v", errs)
	}
}

func TestRefusedBy_OneTypeIsEnough(t *testing.T) {
	t.Parallel()
	open, closed := &metav1.ObjectMeta{}, &metav1.ObjectMeta{Annotations: map[string]string{AnnotationKey: "false"}}
	if RefusedBy([]*metav1.ObjectMeta{open}) || !RefusedBy([]*metav1.ObjectMeta{open, closed}) {
		t.Error("what the types of a workspace say is not heeded")
	}
}
