"""Which items of the corpus may differ on a worker, and why. Everything else is the same."""

from __future__ import annotations

#: Item -> the row of docs/what-travels.md that says so.
DOCUMENTED: dict[str, str] = {
    "an_accessor_registered_in_the_notebook": "What a cell has registered in a library",
    "a_series_accessor": "What a cell has registered in a library",
    "a_seed_sequence": "A captured generator of random numbers",
    "structured_and_masked_arrays": "A view of an array",
    "memory_order": "A view of an array",
    "a_strided_array": "A view of an array",
    "a_reversed_array": "A view of an array",
    "a_broadcast_array": "A view of an array",
    "a_large_strided_array": "A view of an array",
    "a_generator": "A generator",
    "a_returned_generator": "A generator",
    "a_lock": "A lock, a connection, an open file",
    "a_file_open_for_reading": "A lock, a connection, an open file",
    "an_option_of_pandas": "Settings of a library or of the process",
    "an_attribute_that_the_notebook_has_set_in_a_module": "What the notebook has changed in a module",
    "a_counter_in_a_module": "What a call changes in a module",
    "type_hints_with_forward_references": "String annotations, for get_type_hints()",
    "a_name_put_together_at_run_time": "A name that is put together at run time",
    "an_exception_with_a_cause": "An exception as a value",
    "an_exception_with_keywords_only": "An exception as a value",
    "groups_are_split": "An exception as a value",
    "asks_the_kernel": "The kernel itself, widgets",
    "what_is_displayed": "display()",
    "quits": "SystemExit, KeyboardInterrupt",
    "interrupts_itself": "SystemExit, KeyboardInterrupt",
    "reads_the_keyboard": "input()",
}

#: Items that are still to be the same.
NOT_YET: frozenset[str] = frozenset(
    {
        "a_module_with_things_that_no_pickle_carries",
        "a_file_beside_a_module",
        "a_cached_function_of_a_module",
        "a_logger_of_a_module",
        "a_module_that_knows_itself",
        "iterators_of_a_module",
        "single_dispatch_of_a_module",
        "a_class_with_a_lock",
        "a_register_of_a_module",
        "the_same_class_by_both_ways",
        "a_class_imported_in_the_body",
        "modules_that_use_each_other",
        "a_package",
        "a_deep_module_under_another_name",
        "an_import_in_a_helper",
        "an_import_in_a_method",
        "a_namespace_package",
        "import_module",
        "the_file_of_a_module",
        "the_source_of_a_module",
        "pickled_in_the_call",
        "one_module_by_two_imports",
        "a_view_of_bytes",
        "a_modules_function",
        "a_modules_class",
        "the_same_class_imported_again",
        "a_local_package",
        "a_helper_that_imports",
        "a_namespace_package_in_the_cell",
        "a_file_beside_a_module_in_a_cell",
    }
)
