// Package machine is what the state machines of our API types have in common: a table of the states that may follow each state, and the
// fault that a step which is not in the table is.
//
//	machine                                        package              checked by
//	APIBindings, and the resources of each         apis/apis/lifecycle  controllers/apibinding
//	APIExports, until after their deletion         apis/apis/lifecycle  controllers/apiexport
//	permission claims                              apis/apis/lifecycle  controllers/apibinding
//	LogicalClusters and Workspaces                 apis/core/lifecycle  apis/core/validation, apis/tenancy/validation, controllers/workspace,
//	                                                                    controllers/logicalcluster, server/admission/logicalcluster
//
// Who is about to write a step that is not in a table does not write it, and returns the [Fault]: a controller logs it as its error, and
// tries again later. The walks of test/framework/interleaving follow what is stored, and fail at the first such step.
//
// The package imports nothing. Anyone may import it.
package machine
