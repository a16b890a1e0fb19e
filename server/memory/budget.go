package memory

// Budget says how many bytes each cache may take.
type Budget struct {
	Handlers  int64 // of custom resources, by schema: registry/schema
	Documents int64 // of discovery and OpenAPI: server/discovery
	Snapshots int64 // of what clusters serve: registry/catalog
	Hashes    int64 // hashes of definitions: registry/catalog
	Policies  int64 // compiled RBAC: registry/rbac/policy
	Webhooks  int64 // of workspaces: server/admission/webhook
	Admission int64 // compiled admission policies: server/admission/policy
	Offers    int64 // what exports offer: server/virtual/apiexport
	Decoded   int64 // definitions and schemas as they are stored: registry/storage
	Specs     int64 // large specs of definitions, decoded: registry/storage/definitions
	Listed    int64 // small objects that lists show again and again, decoded: registry/storage
	Lists     int64 // long lists that are read page by page: registry/storage
}

// Answers says how many of the bytes that the process may use answers may take, all together, until they are sent. It is never too little for
// the largest objects.
func Answers(total int64) int { return int(min(max(total/4, 512<<20), 4<<30)) }

// Split divides what the process may use: less than half of it goes to the caches, unless these are as big as they need to be. The rest is for watch
// caches, requests and garbage.
func Split(total int64) Budget {
	const mib = 1 << 20
	part := func(of, most int64) int64 { return min(total/of, most*mib) }
	return Budget{
		Handlers:  part(5, 2048),
		Documents: part(16, 512),
		Snapshots: part(16, 256),
		Hashes:    part(64, 32),
		Policies:  part(32, 128),
		Webhooks:  part(64, 64),
		Admission: part(32, 128),
		Offers:    part(64, 64),
		Decoded:   part(128, 64),
		Specs:     part(128, 64),
		Listed:    part(64, 128),
		Lists:     part(32, 256),
	}
}
