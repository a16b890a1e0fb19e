// Package generated tests what generate.sh writes below generated/, where no hand-written file may stand: OpenAPI names
// and list types, a type converter for server-side apply over all kinds, and the clientset against its fake.
package generated
