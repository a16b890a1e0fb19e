package server

import (
	"runtime/debug"
	"strings"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/util/compatibility"
	basecompatibility "k8s.io/component-base/compatibility"
)

// Version returns the version of the Kubernetes API that is served, such as v1.37.2+annex.
func Version() *apimachineryversion.Info { return effectiveVersion().Info() }

func effectiveVersion() basecompatibility.EffectiveVersion {
	return release{compatibility.DefaultBuildEffectiveVersion()}
}

// release is an effective version that knows its release in binaries that `go build` or `go install` made without linker
// flags. They call themselves v0.0.0-master+$Format:%H$, which kubectl and helm refuse to parse.
type release struct {
	basecompatibility.EffectiveVersion
}

// Info implements EffectiveVersion.
func (r release) Info() *apimachineryversion.Info {
	info := r.EffectiveVersion.Info()
	if info == nil || !strings.HasPrefix(info.GitVersion, "v0.0.0") {
		return info
	}
	info.GitVersion = "v" + info.Major + "." + info.Minor + ".0+annex"
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			// v0.37.2 of the libraries is v1.37.2 of Kubernetes.
			if minor, found := strings.CutPrefix(module.Version, "v0."); found && module.Path == "k8s.io/apiserver" {
				info.GitVersion = "v1." + minor + "+annex"
			}
		}
	}
	return info
}
