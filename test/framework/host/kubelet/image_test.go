package kubelet

import (
	"testing"
)

func TestFindImage(t *testing.T) {
	o, err := newOptions([]Option{
		WithImageOf("annex", Image{WorkingDir: "any"}), WithImageOf("annex:2", Image{WorkingDir: "two"}), WithImageOf("host:5000/x", Image{WorkingDir: "x"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"annex": "any", "annex:1": "any", "annex:2": "two", "annex@sha256:0": "any", "host:5000/x": "x", "host:5000/x:1": "x", "other": "", "annex/annex": "",
	} {
		image, found := o.findImage(reference)
		if found != (want != "") || image.WorkingDir != want {
			t.Errorf("%s is %q, %v, want %q", reference, image.WorkingDir, found, want)
		}
	}
	if _, err := newOptions([]Option{WithImage("x", "/no/such/program")}); err == nil {
		t.Error("an image of a missing program is accepted")
	}
	for _, address := range []string{"127.0.0.1", "example.com:80", "[::1]:80"} {
		if _, err := newOptions([]Option{WithOutside(address)}); err == nil {
			t.Errorf("the outside address %s is accepted", address)
		}
	}
}
